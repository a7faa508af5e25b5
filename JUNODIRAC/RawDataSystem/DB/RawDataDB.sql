-- The ledger: one row for each file that was ever announced, and every announcement that was refused.
-- The installer splits this file at each semicolon, so none may stand in a comment or a text.
-- All times are UTC. Sizes are bytes.

-- State: see BlockState, beside each state the time when it was last entered.
-- Directory is the one that carries the block's metadata, known from its opening on, NULL for a follow-up block.
-- ParentID: the block whose late files this follow-up block has. ExpectedFiles: what an end-of-block announcement declared,
-- ExpectedBy: that message, as topic/partition/offset.
-- ClosedBy: EndOfBlock, Quiet, or a user. Problem: code, colon, sentence.
-- The counts are those of the last look, at CountedTime, so that a cycle need not count the files of blocks at rest.
CREATE TABLE IF NOT EXISTS `Blocks` (
  `BlockID` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `Type` VARCHAR(64) NOT NULL,
  `Block` VARCHAR(128) NOT NULL,
  `Directory` VARCHAR(255) DEFAULT NULL,
  `ParentID` INT UNSIGNED DEFAULT NULL,
  `State` VARCHAR(32) NOT NULL DEFAULT 'Open',
  `ExpectedFiles` INT UNSIGNED DEFAULT NULL,
  `ExpectedTime` DATETIME(3) DEFAULT NULL,
  `ExpectedBy` VARCHAR(300) NOT NULL DEFAULT '',
  `CreatedTime` DATETIME(3) NOT NULL,
  `OpenedTime` DATETIME(3) DEFAULT NULL,
  `ClosedTime` DATETIME(3) DEFAULT NULL,
  `ClosedBy` VARCHAR(128) NOT NULL DEFAULT '',
  `ReplicatedTime` DATETIME(3) DEFAULT NULL,
  `ValidatedTime` DATETIME(3) DEFAULT NULL,
  `DoneTime` DATETIME(3) DEFAULT NULL,
  `ProblemTime` DATETIME(3) DEFAULT NULL,
  `Problem` TEXT DEFAULT NULL,
  `RegisteredFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  `RegisteredBytes` BIGINT UNSIGNED NOT NULL DEFAULT 0,
  `UnsettledFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  `GivenUpFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  `CountedTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`BlockID`),
  UNIQUE KEY `TypeBlock` (`Type`, `Block`),
  UNIQUE KEY `Directory` (`Directory`),
  KEY `Block` (`Block`),
  KEY `State` (`State`),
  KEY `ParentID` (`ParentID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The directories in which the files of a block lie: a block is never finer than a directory.
-- ActiveTime: when announcements last came for it, to ten minutes, so that what moved lately is found without looking at all files.
CREATE TABLE IF NOT EXISTS `Directories` (
  `DirectoryID` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `BlockID` INT UNSIGNED NOT NULL,
  `Directory` VARCHAR(255) NOT NULL,
  `CreatedTime` DATETIME(3) NOT NULL,
  `ActiveTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`DirectoryID`),
  UNIQUE KEY `Directory` (`Directory`),
  KEY `BlockID` (`BlockID`),
  KEY `ActiveTime` (`ActiveTime`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- A block at one of its sites: state and times as in Blocks. DoneFiles and DoneBytes: replicas there at the last look.
-- ProgressTime: when DoneFiles last grew.
CREATE TABLE IF NOT EXISTS `BlockTransfers` (
  `BlockID` INT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL,
  `TransformationID` INT UNSIGNED NOT NULL,
  `CreatedTime` DATETIME(3) NOT NULL,
  `State` VARCHAR(32) NOT NULL DEFAULT 'Open',
  `ClosedTime` DATETIME(3) DEFAULT NULL,
  `ReplicatedTime` DATETIME(3) DEFAULT NULL,
  `ValidatedTime` DATETIME(3) DEFAULT NULL,
  `DoneTime` DATETIME(3) DEFAULT NULL,
  `ProblemTime` DATETIME(3) DEFAULT NULL,
  `Problem` TEXT DEFAULT NULL,
  `DoneFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  `DoneBytes` BIGINT UNSIGNED NOT NULL DEFAULT 0,
  `ProgressTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`BlockID`, `SE`),
  KEY `TransformationID` (`TransformationID`),
  KEY `State` (`State`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- How far a block was at a site, a row whenever that changed, for rates. Old ones are deleted.
CREATE TABLE IF NOT EXISTS `BlockProgress` (
  `BlockID` INT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL,
  `Time` DATETIME(3) NOT NULL,
  `DoneFiles` INT UNSIGNED NOT NULL,
  `DoneBytes` BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (`BlockID`, `SE`, `Time`),
  KEY `Time` (`Time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Each change of state of a block (SE empty) or of a block at a site, who made it, and why.
CREATE TABLE IF NOT EXISTS `BlockEvents` (
  `EventID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `BlockID` INT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL DEFAULT '',
  `Time` DATETIME(3) NOT NULL,
  `FromState` VARCHAR(32) NOT NULL,
  `ToState` VARCHAR(32) NOT NULL,
  `Actor` VARCHAR(128) NOT NULL,
  `Reason` TEXT NOT NULL,
  PRIMARY KEY (`EventID`),
  KEY `BlockID` (`BlockID`, `Time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Files that belong to a follow-up block, though their directory belongs to the block that was closed.
CREATE TABLE IF NOT EXISTS `LateFiles` (
  `FileID` BIGINT UNSIGNED NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL,
  PRIMARY KEY (`FileID`),
  KEY `BlockID` (`BlockID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Each comparison of ledger, catalogue and storage for a block at a site. Look: First, Second, Again (of a Done block), Asked
-- (by a person). Verdict: Good, Bad, or Incomplete (the storage or the catalogue did not tell of all files).
-- Differences is JSON: by kind the names of the files, lists are cut, the counts are whole.
CREATE TABLE IF NOT EXISTS `Validations` (
  `ValidationID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `BlockID` INT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL,
  `Look` VARCHAR(16) NOT NULL,
  `Actor` VARCHAR(128) NOT NULL,
  `StartedTime` DATETIME(3) NOT NULL,
  `EndedTime` DATETIME(3) NOT NULL,
  `Verdict` VARCHAR(16) NOT NULL,
  `Files` INT UNSIGNED NOT NULL,
  `SizeBytes` BIGINT UNSIGNED NOT NULL,
  `GoodFiles` INT UNSIGNED NOT NULL,
  `MissingFiles` INT UNSIGNED NOT NULL,
  `ExtraFiles` INT UNSIGNED NOT NULL,
  `WrongSizeFiles` INT UNSIGNED NOT NULL,
  `WrongChecksumFiles` INT UNSIGNED NOT NULL,
  `UncataloguedFiles` INT UNSIGNED NOT NULL,
  `UnansweredFiles` INT UNSIGNED NOT NULL,
  `Differences` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`ValidationID`),
  KEY `BlockSite` (`BlockID`, `SE`, `StartedTime`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What was done about a file that did not get to a site by itself. State: Active, Repaired, GivenUp (a person has to act).
-- Situation: the row of the truth table. Attempts counts the actions that start a copy.
CREATE TABLE IF NOT EXISTS `Repairs` (
  `BlockID` INT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL,
  `FileID` BIGINT UNSIGNED NOT NULL,
  `State` VARCHAR(16) NOT NULL DEFAULT 'Active',
  `Situation` VARCHAR(255) NOT NULL,
  `Action` VARCHAR(32) NOT NULL,
  `ErrorClass` VARCHAR(32) NOT NULL DEFAULT '',
  `Error` TEXT NOT NULL,
  `Attempts` INT UNSIGNED NOT NULL DEFAULT 0,
  `FirstTime` DATETIME(3) NOT NULL,
  `LastTime` DATETIME(3) NOT NULL,
  `NextTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`BlockID`, `SE`, `FileID`),
  KEY `State` (`State`, `NextTime`),
  KEY `FileID` (`FileID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Replicas whose bytes were found wrong: never a source. EndedTime: when a good copy took its place, or it was removed.
-- Detail begins with "in doubt" where a failed copy speaks against it and its storage was not asked yet.
CREATE TABLE IF NOT EXISTS `BadReplicas` (
  `FileID` BIGINT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL,
  `Time` DATETIME(3) NOT NULL,
  `Detail` TEXT NOT NULL,
  `EndedTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`FileID`, `SE`),
  KEY `EndedTime` (`EndedTime`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Sites to which nothing is copied for a while: all blocks (BlockID 0) or one. By a person, or by the repair because of an error.
CREATE TABLE IF NOT EXISTS `Pauses` (
  `PauseID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `SE` VARCHAR(128) NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL DEFAULT 0,
  `SinceTime` DATETIME(3) NOT NULL,
  `UntilTime` DATETIME(3) DEFAULT NULL,
  `Actor` VARCHAR(128) NOT NULL,
  `ErrorClass` VARCHAR(32) NOT NULL DEFAULT '',
  `Reason` TEXT NOT NULL,
  `EndedTime` DATETIME(3) DEFAULT NULL,
  `EndedBy` VARCHAR(128) NOT NULL DEFAULT '',
  PRIMARY KEY (`PauseID`),
  KEY `EndedTime` (`EndedTime`),
  KEY `SE` (`SE`, `BlockID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Datasets over the blocks of a Type. The list of files is kept by the catalogue's dataset manager under Path.
-- ContentHash: SHA-256 over the sorted lines "LFN size checksum" of the files at FrozenTime.
CREATE TABLE IF NOT EXISTS `Datasets` (
  `DatasetID` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `Name` VARCHAR(128) NOT NULL,
  `Path` VARCHAR(255) NOT NULL,
  `Type` VARCHAR(64) NOT NULL,
  `FirstBlock` VARCHAR(128) NOT NULL,
  `LastBlock` VARCHAR(128) NOT NULL,
  `CreatedTime` DATETIME(3) NOT NULL,
  `CreatedBy` VARCHAR(128) NOT NULL,
  `FrozenTime` DATETIME(3) DEFAULT NULL,
  `FrozenBy` VARCHAR(128) NOT NULL DEFAULT '',
  `ContentHash` CHAR(64) NOT NULL DEFAULT '',
  `Files` INT UNSIGNED DEFAULT NULL,
  `SizeBytes` BIGINT UNSIGNED DEFAULT NULL,
  PRIMARY KEY (`DatasetID`),
  UNIQUE KEY `Name` (`Name`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The files of a frozen dataset, a row for each directory (with those below it, if they are part of the dataset, too).
-- Content: the sorted lines "LFN size checksum", packed with zlib.
CREATE TABLE IF NOT EXISTS `DatasetParts` (
  `DatasetID` INT UNSIGNED NOT NULL,
  `Directory` VARCHAR(255) NOT NULL,
  `Content` LONGBLOB NOT NULL,
  PRIMARY KEY (`DatasetID`, `Directory`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- FileName ignores case, as DIRAC's tables do: two names that differ only in case would be one file there.
-- 100 million rows are expected: no foreign keys (a check for each insert), no text that another table has.
-- DirectoryState carries the size, so that the counts and bytes of a block are read from the index alone.
CREATE TABLE IF NOT EXISTS `Files` (
  `FileID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `DirectoryID` INT UNSIGNED NOT NULL,
  `FileName` VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  `State` ENUM('Announced', 'Registered', 'Quarantined', 'Waiting', 'Waived', 'Dropped') NOT NULL,
  `SizeBytes` BIGINT UNSIGNED DEFAULT NULL,
  `Checksum` VARCHAR(64) NOT NULL DEFAULT '',
  `EventCount` BIGINT UNSIGNED DEFAULT NULL,
  `RunNumber` BIGINT UNSIGNED DEFAULT NULL,
  `StreamType` VARCHAR(128) DEFAULT NULL,
  `StreamName` VARCHAR(128) DEFAULT NULL,
  `FileTag` VARCHAR(128) DEFAULT NULL,
  `FileTime` VARCHAR(32) DEFAULT NULL,
  `FileSequence` BIGINT UNSIGNED DEFAULT NULL,
  `Extra` MEDIUMTEXT DEFAULT NULL,
  `Topic` VARCHAR(249) NOT NULL,
  `KafkaPartition` INT UNSIGNED NOT NULL,
  `KafkaOffset` BIGINT UNSIGNED NOT NULL,
  `AnnouncedTime` DATETIME(3) NOT NULL,
  `RegisteredTime` DATETIME(3) DEFAULT NULL,
  `QuarantinedTime` DATETIME(3) DEFAULT NULL,
  `WaitingTime` DATETIME(3) DEFAULT NULL,
  `ClosedTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`FileID`),
  UNIQUE KEY `DirectoryFile` (`DirectoryID`, `FileName`),
  KEY `DirectoryState` (`DirectoryID`, `State`, `SizeBytes`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- FileID is NULL where no LFN could be made of the announcement.
-- State: Open, Retried (the message was replayed or its file announced again), Waived, Dropped. ClosedBy: a user or a message.
-- ClosedReason: why, as the user said it.
CREATE TABLE IF NOT EXISTS `Quarantine` (
  `QuarantineID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `Topic` VARCHAR(249) NOT NULL,
  `KafkaPartition` INT UNSIGNED NOT NULL,
  `KafkaOffset` BIGINT UNSIGNED NOT NULL,
  `Type` VARCHAR(64) NOT NULL,
  `FileID` BIGINT UNSIGNED DEFAULT NULL,
  `FileName` VARCHAR(255) NOT NULL DEFAULT '',
  `Reason` VARCHAR(64) NOT NULL,
  `Detail` TEXT NOT NULL,
  `Payload` LONGBLOB NOT NULL,
  `MessageKey` BLOB DEFAULT NULL,
  `Checksum` VARCHAR(64) NOT NULL DEFAULT '',
  `SizeBytes` BIGINT UNSIGNED DEFAULT NULL,
  `Time` DATETIME(3) NOT NULL,
  `State` VARCHAR(16) NOT NULL DEFAULT 'Open',
  `ClosedTime` DATETIME(3) DEFAULT NULL,
  `ClosedBy` VARCHAR(300) NOT NULL DEFAULT '',
  `ClosedReason` TEXT DEFAULT NULL,
  PRIMARY KEY (`QuarantineID`),
  UNIQUE KEY `Message` (`Topic`, `KafkaPartition`, `KafkaOffset`),
  KEY `FileID` (`FileID`),
  KEY `FileName` (`FileName`),
  KEY `TypeReason` (`Type`, `State`, `Reason`, `Time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What people changed by command, and why.
CREATE TABLE IF NOT EXISTS `Journal` (
  `JournalID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `Time` DATETIME(3) NOT NULL,
  `Actor` VARCHAR(128) NOT NULL,
  `ActorGroup` VARCHAR(128) NOT NULL,
  `Action` VARCHAR(64) NOT NULL,
  `Object` VARCHAR(512) NOT NULL,
  `Reason` TEXT NOT NULL,
  PRIMARY KEY (`JournalID`),
  KEY `Object` (`Object`),
  KEY `Time` (`Time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Announcements whose file the source storage does not show yet. The receiver that has the partition asks again at NextTime.
CREATE TABLE IF NOT EXISTS `Waiting` (
  `Topic` VARCHAR(249) NOT NULL,
  `KafkaPartition` INT UNSIGNED NOT NULL,
  `KafkaOffset` BIGINT UNSIGNED NOT NULL,
  `Type` VARCHAR(64) NOT NULL,
  `FileID` BIGINT UNSIGNED NOT NULL,
  `Reason` VARCHAR(64) NOT NULL,
  `Detail` TEXT NOT NULL,
  `Payload` LONGBLOB NOT NULL,
  `MessageKey` BLOB DEFAULT NULL,
  `Since` DATETIME(3) NOT NULL,
  `NextTime` DATETIME(3) NOT NULL,
  `Attempts` INT UNSIGNED NOT NULL,
  PRIMARY KEY (`Topic`, `KafkaPartition`, `KafkaOffset`),
  KEY `Due` (`Topic`, `KafkaPartition`, `NextTime`, `Since`),
  KEY `FileID` (`FileID`),
  KEY `TypeSince` (`Type`, `Since`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- In which directories the files of a run lie, so that a run is found without an index over all files.
CREATE TABLE IF NOT EXISTS `Runs` (
  `RunNumber` BIGINT UNSIGNED NOT NULL,
  `DirectoryID` INT UNSIGNED NOT NULL,
  PRIMARY KEY (`RunNumber`, `DirectoryID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What each minute brought. A crash may count a batch twice: these are rates, the ledger's rows are the truth.
CREATE TABLE IF NOT EXISTS `IngestRates` (
  `Type` VARCHAR(64) NOT NULL,
  `Minute` DATETIME NOT NULL,
  `Messages` INT UNSIGNED NOT NULL DEFAULT 0,
  `Registered` INT UNSIGNED NOT NULL DEFAULT 0,
  `Duplicates` INT UNSIGNED NOT NULL DEFAULT 0,
  `Quarantined` INT UNSIGNED NOT NULL DEFAULT 0,
  `Waiting` INT UNSIGNED NOT NULL DEFAULT 0,
  `RegisteredBytes` BIGINT UNSIGNED NOT NULL DEFAULT 0,
  `LastTime` DATETIME(3) NOT NULL,
  PRIMARY KEY (`Type`, `Minute`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The sign of life of each receiver, and what it waits for.
CREATE TABLE IF NOT EXISTS `Receivers` (
  `Type` VARCHAR(64) NOT NULL,
  `Instance` VARCHAR(128) NOT NULL,
  `Host` VARCHAR(128) NOT NULL,
  `PID` INT UNSIGNED NOT NULL,
  `StartedTime` DATETIME(3) NOT NULL,
  `HeartbeatTime` DATETIME(3) NOT NULL,
  `Trouble` TEXT DEFAULT NULL,
  `TroubleSince` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`Type`, `Instance`, `Host`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The last comparison of a directory of the source storage with the ledger. Differences is JSON, the lists in it are cut.
CREATE TABLE IF NOT EXISTS `Sweeps` (
  `Type` VARCHAR(64) NOT NULL,
  `Directory` VARCHAR(255) NOT NULL,
  `Time` DATETIME(3) NOT NULL,
  `OnStorage` INT UNSIGNED NOT NULL,
  `InLedger` INT UNSIGNED NOT NULL,
  `NeverAnnounced` INT UNSIGNED NOT NULL,
  `NotOnStorage` INT UNSIGNED NOT NULL,
  `Differences` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`Type`, `Directory`),
  KEY `Time` (`Time`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Problems that people are told of. EndedTime is NULL as long as a problem stands.
CREATE TABLE IF NOT EXISTS `Alerts` (
  `AlertID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `Problem` VARCHAR(190) NOT NULL,
  `Type` VARCHAR(64) NOT NULL DEFAULT '',
  `Sentence` TEXT NOT NULL,
  `Remedy` TEXT NOT NULL,
  `SinceTime` DATETIME(3) NOT NULL,
  `LastSeenTime` DATETIME(3) NOT NULL,
  `LastMailTime` DATETIME(3) DEFAULT NULL,
  `EndedTime` DATETIME(3) DEFAULT NULL,
  `Occurrences` BIGINT UNSIGNED NOT NULL DEFAULT 1,
  PRIMARY KEY (`AlertID`),
  KEY `Problem` (`Problem`, `EndedTime`),
  KEY `EndedTime` (`EndedTime`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Chains: steps (process, merge, replicate) that run on blocks. A row is one start of a description, which is one production of
-- DIRAC, named <Name>-<Version>-v<OutputVersion>. OutputVersion counts the times that the same blocks went through the same version.
-- Description: the YAML text as it was when the chain was started. Scope is JSON: Type, Blocks (names), EachNewBlock (bool),
-- Dataset (name). State: Starting, Active, Stopped (by a person), Ended.
CREATE TABLE IF NOT EXISTS `Chains` (
  `ChainID` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `Production` VARCHAR(190) NOT NULL,
  `Name` VARCHAR(64) NOT NULL,
  `Version` VARCHAR(64) NOT NULL,
  `OutputVersion` INT UNSIGNED NOT NULL,
  `State` VARCHAR(16) NOT NULL,
  `ProductionID` INT UNSIGNED DEFAULT NULL,
  `Type` VARCHAR(64) NOT NULL,
  `Description` MEDIUMTEXT NOT NULL,
  `Scope` MEDIUMTEXT NOT NULL,
  `CreatedTime` DATETIME(3) NOT NULL,
  `CreatedBy` VARCHAR(128) NOT NULL,
  `StateTime` DATETIME(3) NOT NULL,
  `StateBy` VARCHAR(128) NOT NULL,
  PRIMARY KEY (`ChainID`),
  UNIQUE KEY `Production` (`Production`),
  KEY `State` (`State`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The transformations of a chain: one for each step, for a step of kind replicate one for each destination (SE, else empty).
-- Held: why a gate of the whole step keeps it back (the transformation is Stopped then), empty if none does.
CREATE TABLE IF NOT EXISTS `ChainSteps` (
  `ChainID` INT UNSIGNED NOT NULL,
  `StepNumber` SMALLINT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL DEFAULT '',
  `Step` VARCHAR(64) NOT NULL,
  `Kind` VARCHAR(16) NOT NULL,
  `TransformationID` INT UNSIGNED NOT NULL,
  `Held` TEXT DEFAULT NULL,
  `HeldTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`ChainID`, `StepNumber`, `SE`),
  UNIQUE KEY `TransformationID` (`TransformationID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The blocks that a chain runs on. State: Waiting (at a gate, for files, or open), Running, Done (each step ended and its audit is
-- exact), Problem (a person has to act). Waits: what keeps files of the block back, in words. The counts are of the last look.
CREATE TABLE IF NOT EXISTS `ChainBlocks` (
  `ChainID` INT UNSIGNED NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL,
  `State` VARCHAR(16) NOT NULL,
  `StateTime` DATETIME(3) NOT NULL,
  `AddedTime` DATETIME(3) NOT NULL,
  `AddedBy` VARCHAR(128) NOT NULL,
  `EndedSteps` SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  `Waits` TEXT DEFAULT NULL,
  `Problem` TEXT DEFAULT NULL,
  `WantedFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  `AttachedFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  `CountedTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`ChainID`, `BlockID`),
  KEY `BlockID` (`BlockID`),
  KEY `State` (`State`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The files of the ledger that were given to the first step of a chain (each step whose input is a Type of the ledger).
CREATE TABLE IF NOT EXISTS `ChainInputs` (
  `ChainID` INT UNSIGNED NOT NULL,
  `StepNumber` SMALLINT UNSIGNED NOT NULL,
  `FileID` BIGINT UNSIGNED NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL,
  `AttachedTime` DATETIME(3) NOT NULL,
  PRIMARY KEY (`ChainID`, `StepNumber`, `FileID`),
  KEY `Block` (`ChainID`, `BlockID`),
  KEY `FileID` (`FileID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- At which site the inputs of one stream of a block are processed in a step. Stream: StreamType.StreamName.
CREATE TABLE IF NOT EXISTS `ChainStreams` (
  `ChainID` INT UNSIGNED NOT NULL,
  `StepNumber` SMALLINT UNSIGNED NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL,
  `Stream` VARCHAR(260) NOT NULL,
  `Site` VARCHAR(128) NOT NULL,
  `ChosenTime` DATETIME(3) NOT NULL,
  PRIMARY KEY (`ChainID`, `StepNumber`, `BlockID`, `Stream`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Each execution of a task by a job, a job that is run again included. State: Running, Committed (its output counts), Failed,
-- Refused (others had done its inputs), Dead (declared so by the recovery: it may not commit any more). OutputLFN and OutputSEs
-- (JSON list): what it may have written, noted before. CleanedTime: when what it left behind was looked for last.
CREATE TABLE IF NOT EXISTS `Attempts` (
  `AttemptID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `ChainID` INT UNSIGNED NOT NULL,
  `StepNumber` SMALLINT UNSIGNED NOT NULL,
  `TransformationID` INT UNSIGNED NOT NULL,
  `TaskID` INT UNSIGNED NOT NULL,
  `JobID` BIGINT UNSIGNED NOT NULL,
  `Site` VARCHAR(128) NOT NULL,
  `Host` VARCHAR(128) NOT NULL,
  `State` VARCHAR(16) NOT NULL,
  `StartedTime` DATETIME(3) NOT NULL,
  `LastTime` DATETIME(3) NOT NULL,
  `EndedTime` DATETIME(3) DEFAULT NULL,
  `OutputLFN` VARCHAR(255) NOT NULL DEFAULT '',
  `OutputSEs` TEXT NOT NULL,
  `ExitCode` SMALLINT UNSIGNED NOT NULL DEFAULT 0,
  `Error` VARCHAR(64) NOT NULL DEFAULT '',
  `Detail` TEXT NOT NULL,
  `CleanedTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`AttemptID`),
  KEY `Task` (`TransformationID`, `TaskID`),
  KEY `State` (`State`, `CleanedTime`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The outputs of chains that count, one row for each file that a job committed. Its LFN is Directory/FileName.
-- State: Committed (uploaded), Registered (in the catalogue, with ancestors, and given to the next steps), Retired (merged, and
-- removed by the chain's policy). Stream: StreamType.StreamName. The runs and sequences are those of the first and last input.
CREATE TABLE IF NOT EXISTS `Products` (
  `ProductID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `ChainID` INT UNSIGNED NOT NULL,
  `StepNumber` SMALLINT UNSIGNED NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL,
  `AttemptID` BIGINT UNSIGNED NOT NULL,
  `LFN` VARCHAR(255) NOT NULL,
  `GUID` CHAR(36) NOT NULL,
  `SE` VARCHAR(128) NOT NULL,
  `SizeBytes` BIGINT UNSIGNED NOT NULL,
  `Checksum` VARCHAR(64) NOT NULL,
  `Events` BIGINT UNSIGNED NOT NULL,
  `Stream` VARCHAR(260) NOT NULL,
  `FirstRun` BIGINT UNSIGNED NOT NULL,
  `LastRun` BIGINT UNSIGNED NOT NULL,
  `FirstSequence` BIGINT UNSIGNED NOT NULL,
  `LastSequence` BIGINT UNSIGNED NOT NULL,
  `State` VARCHAR(16) NOT NULL,
  `CommittedTime` DATETIME(3) NOT NULL,
  `RegisteredTime` DATETIME(3) DEFAULT NULL,
  `RetiredTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`ProductID`),
  UNIQUE KEY `LFN` (`LFN`),
  KEY `Block` (`ChainID`, `BlockID`, `StepNumber`),
  KEY `State` (`State`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What was made of what. ParentID is a FileID of Files where the step's input is a Type of the ledger, else a ProductID.
-- The primary key is the promise: in each step an input is in exactly one output, for ever.
-- Position: place of the parent in the output, from 0. Events: what was read of this parent.
CREATE TABLE IF NOT EXISTS `Derivations` (
  `ChainID` INT UNSIGNED NOT NULL,
  `StepNumber` SMALLINT UNSIGNED NOT NULL,
  `ParentID` BIGINT UNSIGNED NOT NULL,
  `ProductID` BIGINT UNSIGNED NOT NULL,
  `Position` INT UNSIGNED NOT NULL,
  `Events` BIGINT UNSIGNED NOT NULL,
  PRIMARY KEY (`ChainID`, `StepNumber`, `ParentID`),
  KEY `ProductID` (`ProductID`, `Position`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Inputs of a step whose jobs failed, and copies of outputs that did (SE not empty). State: Recovering, GivenUp (a person has to
-- act), Waived (by a person: the step goes on without it), Solved. ParentID as in Derivations.
CREATE TABLE IF NOT EXISTS `Recoveries` (
  `ChainID` INT UNSIGNED NOT NULL,
  `StepNumber` SMALLINT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL DEFAULT '',
  `ParentID` BIGINT UNSIGNED NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL,
  `LFN` VARCHAR(255) NOT NULL,
  `State` VARCHAR(16) NOT NULL,
  `Attempts` INT UNSIGNED NOT NULL DEFAULT 0,
  `Error` VARCHAR(64) NOT NULL DEFAULT '',
  `Detail` TEXT NOT NULL,
  `FirstTime` DATETIME(3) NOT NULL,
  `LastTime` DATETIME(3) NOT NULL,
  `NextTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`ChainID`, `StepNumber`, `SE`, `ParentID`),
  KEY `State` (`State`, `NextTime`),
  KEY `Block` (`ChainID`, `BlockID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- Each count of a block in a chain. Verdict: Exact, Off (something is lost, double or wrong), Unfinished (nothing is wrong, not all
-- is done) or Unanswered (catalogue or storage did not tell). Steps is JSON: the counts of each step. Findings is JSON: by kind the
-- names of the files, lists are cut, the counts are whole. Look: Step (a step ended), Asked (by a person).
CREATE TABLE IF NOT EXISTS `Audits` (
  `AuditID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `ChainID` INT UNSIGNED NOT NULL,
  `BlockID` INT UNSIGNED NOT NULL,
  `Look` VARCHAR(16) NOT NULL,
  `Actor` VARCHAR(128) NOT NULL,
  `StartedTime` DATETIME(3) NOT NULL,
  `EndedTime` DATETIME(3) NOT NULL,
  `Verdict` VARCHAR(16) NOT NULL,
  `Steps` MEDIUMTEXT NOT NULL,
  `Findings` MEDIUMTEXT NOT NULL,
  PRIMARY KEY (`AuditID`),
  KEY `ChainBlock` (`ChainID`, `BlockID`, `StartedTime`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- What people said of the runs: good, bad, or another word of theirs. The latest counts, the journal has the others.
CREATE TABLE IF NOT EXISTS `RunQuality` (
  `RunNumber` BIGINT UNSIGNED NOT NULL,
  `Quality` VARCHAR(32) NOT NULL,
  `Time` DATETIME(3) NOT NULL,
  `Actor` VARCHAR(128) NOT NULL,
  `Reason` TEXT NOT NULL,
  PRIMARY KEY (`RunNumber`),
  KEY `Quality` (`Quality`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;
