-- Whether a pulled kill switch also closes all positions: it holds over a restart.

ALTER TABLE kill_switch ADD COLUMN flatten BOOLEAN DEFAULT FALSE
