-- The ledger: one row for each file that was ever announced, and every announcement that was refused.
-- The installer splits this file at each semicolon, so none may stand in a comment or a text.
-- All times are UTC. Sizes are bytes.

-- State: Known (some of its files were announced, nothing was opened), Open (directory and transfers exist).
-- Directory is the one that carries the block's metadata, known from its opening on.
CREATE TABLE IF NOT EXISTS `Blocks` (
  `BlockID` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `Type` VARCHAR(64) NOT NULL,
  `Block` VARCHAR(128) NOT NULL,
  `Directory` VARCHAR(255) DEFAULT NULL,
  `State` VARCHAR(32) NOT NULL DEFAULT 'Open',
  `CreatedTime` DATETIME(3) NOT NULL,
  `OpenedTime` DATETIME(3) DEFAULT NULL,
  PRIMARY KEY (`BlockID`),
  UNIQUE KEY `TypeBlock` (`Type`, `Block`),
  UNIQUE KEY `Directory` (`Directory`),
  KEY `Block` (`Block`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- The directories in which the files of a block lie: a block is never finer than a directory.
CREATE TABLE IF NOT EXISTS `Directories` (
  `DirectoryID` INT UNSIGNED NOT NULL AUTO_INCREMENT,
  `BlockID` INT UNSIGNED NOT NULL,
  `Directory` VARCHAR(255) NOT NULL,
  `CreatedTime` DATETIME(3) NOT NULL,
  PRIMARY KEY (`DirectoryID`),
  UNIQUE KEY `Directory` (`Directory`),
  KEY `BlockID` (`BlockID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

CREATE TABLE IF NOT EXISTS `BlockTransfers` (
  `BlockID` INT UNSIGNED NOT NULL,
  `SE` VARCHAR(128) NOT NULL,
  `TransformationID` INT UNSIGNED NOT NULL,
  `CreatedTime` DATETIME(3) NOT NULL,
  PRIMARY KEY (`BlockID`, `SE`),
  KEY `TransformationID` (`TransformationID`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- 100 million rows are expected: no foreign keys (a check for each insert), no text that another table has.
-- DirectoryState carries the size, so that the counts and bytes of a block are read from the index alone.
CREATE TABLE IF NOT EXISTS `Files` (
  `FileID` BIGINT UNSIGNED NOT NULL AUTO_INCREMENT,
  `DirectoryID` INT UNSIGNED NOT NULL,
  `FileName` VARCHAR(255) NOT NULL,
  `State` ENUM('Announced', 'Registered', 'Quarantined') NOT NULL,
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
  PRIMARY KEY (`FileID`),
  UNIQUE KEY `DirectoryFile` (`DirectoryID`, `FileName`),
  KEY `DirectoryState` (`DirectoryID`, `State`, `SizeBytes`)
) ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_bin;

-- FileID is NULL where no LFN could be made of the announcement.
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
  `Checksum` VARCHAR(64) NOT NULL DEFAULT '',
  `SizeBytes` BIGINT UNSIGNED DEFAULT NULL,
  `Time` DATETIME(3) NOT NULL,
  PRIMARY KEY (`QuarantineID`),
  UNIQUE KEY `Message` (`Topic`, `KafkaPartition`, `KafkaOffset`),
  KEY `FileID` (`FileID`),
  KEY `FileName` (`FileName`),
  KEY `TypeReason` (`Type`, `Reason`, `Time`)
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
