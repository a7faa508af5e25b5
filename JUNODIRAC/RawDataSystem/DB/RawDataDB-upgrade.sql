-- Brings a database that an older version of JUNODIRAC made to the state that RawDataDB.sql describes. Run RawDataDB.sql
-- first, which makes the tables that are missing. All receivers and the service must be stopped. Each statement may be
-- repeated. Make a backup before: the statements on Files rewrite the table.

-- Fails, and changes nothing, if two files of a directory differ only in case or a name is not ASCII: DIRAC's own tables
-- could not hold these files either. Find them with
--   SELECT DirectoryID, LOWER(FileName), COUNT(*) FROM Files GROUP BY 1, 2 HAVING COUNT(*) > 1
ALTER TABLE `Files`
  MODIFY COLUMN `FileName` VARCHAR(255) CHARACTER SET ascii COLLATE ascii_general_ci NOT NULL,
  MODIFY COLUMN `State` ENUM('Announced', 'Registered', 'Quarantined', 'Waiting', 'Waived', 'Dropped') NOT NULL,
  ADD COLUMN IF NOT EXISTS `WaitingTime` DATETIME(3) DEFAULT NULL AFTER `QuarantinedTime`,
  ADD COLUMN IF NOT EXISTS `ClosedTime` DATETIME(3) DEFAULT NULL AFTER `WaitingTime`;

ALTER TABLE `Directories`
  ADD COLUMN IF NOT EXISTS `ActiveTime` DATETIME(3) DEFAULT NULL,
  ADD INDEX IF NOT EXISTS `ActiveTime` (`ActiveTime`);

UPDATE `Directories` SET `ActiveTime` = `CreatedTime` WHERE `ActiveTime` IS NULL;

ALTER TABLE `Quarantine`
  ADD COLUMN IF NOT EXISTS `MessageKey` BLOB DEFAULT NULL AFTER `Payload`,
  ADD COLUMN IF NOT EXISTS `State` VARCHAR(16) NOT NULL DEFAULT 'Open',
  ADD COLUMN IF NOT EXISTS `ClosedTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `ClosedBy` VARCHAR(300) NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS `ClosedReason` TEXT DEFAULT NULL;

ALTER TABLE `Quarantine` DROP INDEX IF EXISTS `TypeReason`;

ALTER TABLE `Quarantine` ADD INDEX `TypeReason` (`Type`, `State`, `Reason`, `Time`);

-- Refused announcements whose file was announced again and registered since.
UPDATE `Quarantine` q JOIN `Files` f ON f.`FileID` = q.`FileID`
  SET q.`State` = 'Retried', q.`ClosedTime` = f.`RegisteredTime`,
    q.`ClosedBy` = CONCAT(f.`Topic`, '/', f.`KafkaPartition`, '/', f.`KafkaOffset`)
  WHERE q.`State` = 'Open' AND q.`Reason` <> 'Conflict' AND f.`State` = 'Registered' AND q.`Time` < f.`RegisteredTime`;

INSERT INTO `Runs` (`RunNumber`, `DirectoryID`)
  SELECT DISTINCT `RunNumber`, `DirectoryID` FROM `Files` WHERE `RunNumber` IS NOT NULL
  ON DUPLICATE KEY UPDATE `RunNumber` = VALUES(`RunNumber`);

ALTER TABLE `Blocks`
  ADD COLUMN IF NOT EXISTS `ParentID` INT UNSIGNED DEFAULT NULL AFTER `Directory`,
  ADD COLUMN IF NOT EXISTS `ExpectedFiles` INT UNSIGNED DEFAULT NULL AFTER `State`,
  ADD COLUMN IF NOT EXISTS `ExpectedTime` DATETIME(3) DEFAULT NULL AFTER `ExpectedFiles`,
  ADD COLUMN IF NOT EXISTS `ExpectedBy` VARCHAR(300) NOT NULL DEFAULT '' AFTER `ExpectedTime`,
  ADD COLUMN IF NOT EXISTS `ClosedTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `ClosedBy` VARCHAR(128) NOT NULL DEFAULT '',
  ADD COLUMN IF NOT EXISTS `ReplicatedTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `ValidatedTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `DoneTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `ProblemTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `Problem` TEXT DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `RegisteredFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS `RegisteredBytes` BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS `UnsettledFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS `GivenUpFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS `CountedTime` DATETIME(3) DEFAULT NULL,
  ADD INDEX IF NOT EXISTS `State` (`State`),
  ADD INDEX IF NOT EXISTS `ParentID` (`ParentID`);

-- Blocks from before are Open, whatever their age: they are closed, validated and done as if they were new.
ALTER TABLE `BlockTransfers`
  ADD COLUMN IF NOT EXISTS `State` VARCHAR(32) NOT NULL DEFAULT 'Open',
  ADD COLUMN IF NOT EXISTS `ClosedTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `ReplicatedTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `ValidatedTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `DoneTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `ProblemTime` DATETIME(3) DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `Problem` TEXT DEFAULT NULL,
  ADD COLUMN IF NOT EXISTS `DoneFiles` INT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS `DoneBytes` BIGINT UNSIGNED NOT NULL DEFAULT 0,
  ADD COLUMN IF NOT EXISTS `ProgressTime` DATETIME(3) DEFAULT NULL,
  ADD INDEX IF NOT EXISTS `State` (`State`);
