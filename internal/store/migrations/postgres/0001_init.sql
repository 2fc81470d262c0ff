CREATE TABLE organizations (
  name TEXT PRIMARY KEY,
  title TEXT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);

CREATE TABLE teams (
  name TEXT PRIMARY KEY,
  organization TEXT NOT NULL REFERENCES organizations (name),
  title TEXT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);
CREATE INDEX teams_organization ON teams (organization);

CREATE TABLE projects (
  name TEXT PRIMARY KEY,
  team TEXT NOT NULL REFERENCES teams (name),
  title TEXT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);
CREATE INDEX projects_team ON projects (team);

CREATE TABLE api_keys (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  organization TEXT NOT NULL REFERENCES organizations (name),
  team TEXT REFERENCES teams (name),
  project TEXT REFERENCES projects (name),
  role TEXT NOT NULL,
  scope TEXT NOT NULL,
  state TEXT NOT NULL,
  expires BIGINT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);
CREATE UNIQUE INDEX api_keys_name ON api_keys (organization, name);
CREATE INDEX api_keys_team ON api_keys (team);
CREATE INDEX api_keys_project ON api_keys (project);

CREATE TABLE api_key_secrets (
  digest BYTEA PRIMARY KEY,
  api_key TEXT NOT NULL REFERENCES api_keys (id),
  hint TEXT NOT NULL,
  created BIGINT NOT NULL,
  until BIGINT NOT NULL
);
CREATE INDEX api_key_secrets_key ON api_key_secrets (api_key);

CREATE TABLE budgets (
  id TEXT PRIMARY KEY,
  level TEXT NOT NULL,
  owner TEXT NOT NULL,
  unit TEXT NOT NULL,
  amount BIGINT NOT NULL,
  per TEXT NOT NULL,
  zone TEXT NOT NULL,
  model TEXT NOT NULL,
  soft BIGINT NOT NULL,
  alert_at TEXT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);
CREATE UNIQUE INDEX budgets_same ON budgets (level, owner, unit, per, model);

CREATE TABLE provider_keys (
  id TEXT PRIMARY KEY,
  team TEXT NOT NULL REFERENCES teams (name),
  provider TEXT NOT NULL,
  hint TEXT NOT NULL,
  sealed BYTEA NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL
);
CREATE UNIQUE INDEX provider_keys_same ON provider_keys (team, provider);

-- What changed, in the order of commits: seq is taken under the lock of the one row of audit_seq.
CREATE TABLE audit (
  seq BIGINT PRIMARY KEY,
  at BIGINT NOT NULL,
  actor TEXT NOT NULL,
  address TEXT NOT NULL,
  action TEXT NOT NULL,
  kind TEXT NOT NULL,
  object TEXT NOT NULL,
  before TEXT,
  after TEXT
);
CREATE INDEX audit_object ON audit (kind, object, seq);

CREATE TABLE audit_seq (one INTEGER PRIMARY KEY CHECK (one = 1), n BIGINT NOT NULL);
INSERT INTO audit_seq (one, n) VALUES (1, 0);

CREATE TABLE idempotency (
  actor TEXT NOT NULL,
  id TEXT NOT NULL,
  request BYTEA NOT NULL,
  response BYTEA NOT NULL,
  at BIGINT NOT NULL,
  PRIMARY KEY (actor, id)
);
CREATE INDEX idempotency_at ON idempotency (at);
