CREATE TABLE eval_runs (
  id TEXT PRIMARY KEY,
  organization TEXT NOT NULL REFERENCES organizations (name) ON DELETE CASCADE,
  team TEXT NOT NULL,
  name TEXT NOT NULL,
  body TEXT NOT NULL,
  outcomes BIGINT NOT NULL,
  bytes BIGINT NOT NULL,
  created BIGINT NOT NULL, changed BIGINT NOT NULL, version BIGINT NOT NULL,
  UNIQUE (organization, name)
);
CREATE INDEX eval_runs_changed ON eval_runs (changed);

-- failed: no answer came, so that another outcome may take its place.
CREATE TABLE eval_outcomes (
  run TEXT NOT NULL REFERENCES eval_runs (id) ON DELETE CASCADE,
  number BIGINT NOT NULL,
  question TEXT NOT NULL,
  target TEXT NOT NULL,
  failed BIGINT NOT NULL,
  body TEXT NOT NULL,
  PRIMARY KEY (run, number),
  UNIQUE (run, question, target)
);
