CREATE TABLE IF NOT EXISTS jobs (
  job_id TEXT PRIMARY KEY, user_dn TEXT NOT NULL, cred_id TEXT NOT NULL, vo_name TEXT NOT NULL,
  state TEXT NOT NULL, reason TEXT, submit_time REAL NOT NULL, finish_time REAL,
  priority INTEGER NOT NULL, retry INTEGER NOT NULL, retry_delay INTEGER NOT NULL, verify_checksum TEXT NOT NULL,
  overwrite INTEGER NOT NULL, cleanup INTEGER NOT NULL, timeout INTEGER NOT NULL,
  metadata TEXT NOT NULL, params TEXT NOT NULL, source_se TEXT, dest_se TEXT,
  hidden INTEGER NOT NULL DEFAULT 0           -- a rule asked to answer 404 for this job
);
CREATE TABLE IF NOT EXISTS files (
  file_id INTEGER PRIMARY KEY AUTOINCREMENT, job_id TEXT NOT NULL REFERENCES jobs (job_id), file_index INTEGER NOT NULL,
  state TEXT NOT NULL, source TEXT NOT NULL, destination TEXT NOT NULL, source_host TEXT NOT NULL, dest_host TEXT NOT NULL,
  checksum TEXT NOT NULL, user_filesize INTEGER, metadata TEXT NOT NULL, activity TEXT NOT NULL, strategy TEXT NOT NULL,
  priority INTEGER NOT NULL, reason TEXT, recoverable INTEGER, retry_count INTEGER NOT NULL DEFAULT 0, retry_at REAL NOT NULL DEFAULT 0,
  start_time REAL, finish_time REAL, filesize INTEGER, tx_seconds REAL,
  writing INTEGER NOT NULL DEFAULT 0,         -- the destination was found free (or freed) and our own copy began
  resumed INTEGER NOT NULL DEFAULT 0          -- a restart broke off such a copy: what is there is ours, we may overwrite it
);
CREATE INDEX IF NOT EXISTS files_by_link ON files (state, source_host, dest_host, priority DESC, file_id);
CREATE INDEX IF NOT EXISTS files_by_job ON files (job_id);
CREATE TABLE IF NOT EXISTS attempts (
  attempt_id INTEGER PRIMARY KEY AUTOINCREMENT, file_id INTEGER NOT NULL, job_id TEXT NOT NULL, user_dn TEXT NOT NULL,
  source TEXT NOT NULL, destination TEXT NOT NULL, retry INTEGER NOT NULL, started REAL NOT NULL, finished REAL,
  state TEXT, reason TEXT, rule TEXT, filesize INTEGER, tx_seconds REAL
);
CREATE INDEX IF NOT EXISTS attempts_by_file ON attempts (file_id);
CREATE TABLE IF NOT EXISTS requests (dlg_id TEXT PRIMARY KEY, key_pem TEXT NOT NULL, csr_pem TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS credentials (dlg_id TEXT PRIMARY KEY, dn TEXT NOT NULL, proxy_pem TEXT NOT NULL, termination REAL NOT NULL);
CREATE TABLE IF NOT EXISTS rule_matches (rule_id TEXT PRIMARY KEY, matched INTEGER NOT NULL);
