-- The executor's tables. Statements end at an empty line; a first line `-- only: DIALECT` limits one.

CREATE TABLE signals (
    signal_id TEXT NOT NULL,
    symbol TEXT,
    side TEXT,
    kind TEXT,
    strategy_id TEXT,
    source TEXT,
    expires_at TEXT,
    hash TEXT,
    body TEXT,
    at TEXT,
    PRIMARY KEY (signal_id)
)

CREATE TABLE decisions (
    decision_id TEXT NOT NULL,
    signal_id TEXT,
    symbol TEXT,
    side TEXT,
    source TEXT,
    qty BIGINT,
    qty_requested BIGINT,
    allowed BOOLEAN,
    body TEXT,
    context TEXT,
    at TEXT,
    PRIMARY KEY (decision_id)
)

CREATE TABLE denials (
    decision_id TEXT NOT NULL,
    signal_id TEXT,
    symbol TEXT,
    side TEXT,
    source TEXT,
    reason TEXT,
    transient BOOLEAN,
    detail TEXT,
    http_code BIGINT,
    at TEXT,
    PRIMARY KEY (decision_id)
)

CREATE TABLE intents (
    intent_id TEXT NOT NULL,
    signal_id TEXT NOT NULL,
    account TEXT NOT NULL,
    con_id BIGINT NOT NULL,
    symbol TEXT NOT NULL,
    contract TEXT,
    side TEXT NOT NULL,
    leg TEXT NOT NULL,
    trading_day TEXT NOT NULL,
    attempt BIGINT NOT NULL,
    qty BIGINT NOT NULL,
    order_type TEXT,
    limit_price_usd TEXT,
    stop_price_usd TEXT,
    time_in_force TEXT,
    parent_id TEXT,
    oca_group TEXT,
    mode TEXT,
    strategy_id TEXT,
    reason TEXT,
    state TEXT NOT NULL,
    filled_qty BIGINT NOT NULL,
    perm_id BIGINT,
    order_id BIGINT,
    client_id BIGINT,
    epoch BIGINT,
    broker_status TEXT,
    why_held TEXT,
    created_at TEXT NOT NULL,
    sent_at TEXT,
    acked_at TEXT,
    ended_at TEXT,
    PRIMARY KEY (intent_id)
)

CREATE TABLE orders (
    epoch BIGINT NOT NULL,
    client_id BIGINT NOT NULL,
    order_id BIGINT NOT NULL,
    intent_id TEXT NOT NULL REFERENCES intents,
    at TEXT NOT NULL,
    perm_id BIGINT UNIQUE,
    qty BIGINT,
    limit_price_usd TEXT,
    stop_price_usd TEXT,
    broker_status TEXT,
    why_held TEXT,
    revision BIGINT,
    PRIMARY KEY (epoch, client_id, order_id)
)

CREATE TABLE executions (
    exec_id TEXT NOT NULL,
    base_id TEXT NOT NULL,
    revision BIGINT NOT NULL,
    superseded_by TEXT,
    intent_id TEXT REFERENCES intents,
    account TEXT NOT NULL,
    con_id BIGINT NOT NULL,
    symbol TEXT,
    contract TEXT,
    side TEXT NOT NULL,
    qty BIGINT NOT NULL,
    price_usd TEXT NOT NULL,
    fee_usd TEXT,
    at TEXT NOT NULL,
    order_ref TEXT,
    perm_id BIGINT,
    order_id BIGINT,
    client_id BIGINT,
    source TEXT NOT NULL,
    PRIMARY KEY (exec_id)
)

CREATE TABLE fees (
    exec_id TEXT NOT NULL,
    fee_usd TEXT,
    at TEXT,
    PRIMARY KEY (exec_id)
)

CREATE TABLE adjustments (
    adjustment_id TEXT NOT NULL,
    at TEXT,
    account TEXT,
    con_id BIGINT,
    symbol TEXT,
    contract TEXT,
    "by" TEXT,
    note TEXT,
    qty TEXT,
    price_usd TEXT,
    ratio TEXT,
    PRIMARY KEY (adjustment_id)
)

CREATE TABLE lots (
    lot_id TEXT NOT NULL,
    account TEXT NOT NULL,
    con_id BIGINT NOT NULL,
    symbol TEXT NOT NULL,
    sec_type TEXT,
    trade_id TEXT NOT NULL,
    direction BIGINT NOT NULL,
    multiplier TEXT,
    opened_at TEXT NOT NULL,
    qty TEXT NOT NULL,
    open_qty TEXT NOT NULL,
    price_usd TEXT NOT NULL,
    fee_usd TEXT,
    cost_left_usd TEXT,
    fee_left_usd TEXT,
    closes TEXT,
    closed_at TEXT,
    PRIMARY KEY (lot_id)
)

CREATE TABLE positions (
    account TEXT NOT NULL,
    con_id BIGINT NOT NULL,
    symbol TEXT,
    contract TEXT,
    qty TEXT NOT NULL,
    average_cost_usd TEXT NOT NULL,
    cost_usd TEXT NOT NULL,
    multiplier TEXT,
    opened_at TEXT NOT NULL,
    mark_usd TEXT,
    marked_at TEXT,
    PRIMARY KEY (account, con_id)
)

CREATE TABLE brackets (
    account TEXT NOT NULL,
    con_id BIGINT NOT NULL,
    entry TEXT NOT NULL,
    at TEXT,
    opened_at TEXT,
    exit_state TEXT,
    closed_at TEXT,
    scheduled TEXT,
    PRIMARY KEY (account, con_id, entry)
)

CREATE TABLE trades (
    id TEXT NOT NULL,
    order_id TEXT,
    symbol TEXT NOT NULL,
    side TEXT NOT NULL,
    qty TEXT NOT NULL,
    entry_price TEXT,
    stop_price TEXT,
    target_price TEXT,
    created_at TEXT NOT NULL,
    submitted_at TEXT,
    entered_at TEXT,
    exited_at TEXT,
    exit_price TEXT,
    pnl_usd TEXT,
    r_multiple TEXT,
    outcome TEXT,
    features TEXT,
    notes TEXT,
    model_score TEXT,
    model_version TEXT,
    strategy_id TEXT,
    profile TEXT,
    mode TEXT,
    simulated BOOLEAN,
    is_backfill BOOLEAN,
    source TEXT,
    fees_usd TEXT,
    slippage_bps TEXT,
    exit_reason TEXT,
    signal_id TEXT,
    account TEXT,
    con_id BIGINT,
    ordered_qty TEXT,
    ref_price TEXT,
    closed_qty TEXT,
    PRIMARY KEY (id)
)

CREATE TABLE limits_state (
    scope TEXT NOT NULL,
    "key" TEXT NOT NULL,
    trading_day TEXT NOT NULL,
    at TEXT,
    entries BIGINT,
    orders BIGINT,
    notional_usd TEXT,
    realised_usd TEXT,
    fees_usd TEXT,
    streak BIGINT,
    day_start_equity_usd TEXT,
    peak_equity_usd TEXT,
    PRIMARY KEY (scope, "key", trading_day)
)

CREATE TABLE halts (
    halt_id TEXT NOT NULL,
    scope TEXT,
    "key" TEXT,
    rule TEXT,
    reason TEXT,
    set_by TEXT,
    set_at TEXT,
    "until" TEXT,
    cleared_by TEXT,
    cleared_at TEXT,
    note TEXT,
    PRIMARY KEY (halt_id)
)

CREATE TABLE cooldowns (
    account TEXT NOT NULL,
    symbol TEXT NOT NULL,
    strategy TEXT NOT NULL,
    "until" TEXT,
    reason TEXT,
    PRIMARY KEY (account, symbol, strategy)
)

CREATE TABLE kill_switch (
    name TEXT NOT NULL,
    latched BOOLEAN,
    generation BIGINT,
    sources TEXT,
    "by" TEXT,
    reason TEXT,
    at TEXT,
    PRIMARY KEY (name)
)

CREATE TABLE overrides (
    name TEXT NOT NULL,
    "value" TEXT,
    "by" TEXT,
    at TEXT,
    PRIMARY KEY (name)
)

CREATE TABLE contracts (
    con_id BIGINT NOT NULL,
    symbol TEXT,
    contract TEXT,
    at TEXT,
    PRIMARY KEY (con_id)
)

CREATE TABLE broker_snapshots (
    snapshot_id TEXT NOT NULL,
    body TEXT,
    at TEXT,
    PRIMARY KEY (snapshot_id)
)

CREATE TABLE reconciliations (
    reconciliation_id TEXT NOT NULL,
    body TEXT,
    at TEXT,
    PRIMARY KEY (reconciliation_id)
)

CREATE TABLE events (
    event_id BIGINT NOT NULL,
    at TEXT,
    type TEXT,
    severity TEXT,
    name TEXT,
    message TEXT,
    details TEXT,
    PRIMARY KEY (event_id)
)

CREATE TABLE counters (
    name TEXT NOT NULL,
    "value" TEXT,
    at TEXT,
    PRIMARY KEY (name)
)

CREATE TABLE journal (
    seq BIGINT NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    PRIMARY KEY (seq)
)

CREATE TABLE journal_aside (
    seq BIGINT NOT NULL,
    at TEXT NOT NULL,
    kind TEXT NOT NULL,
    body TEXT NOT NULL,
    prev_hash TEXT NOT NULL,
    hash TEXT NOT NULL,
    aside_at TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (seq, hash)
)

CREATE TABLE idempotency (
    "key" TEXT NOT NULL,
    subject TEXT NOT NULL,
    request_hash TEXT NOT NULL,
    at TEXT NOT NULL,
    intent_id TEXT,
    status BIGINT,
    body TEXT,
    PRIMARY KEY ("key")
)

-- only: sqlite
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    delivered_at TEXT
)

-- only: postgresql
CREATE TABLE outbox (
    id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
    at TEXT NOT NULL,
    body TEXT NOT NULL,
    delivered_at TEXT
)

CREATE TABLE executor_lease (
    name TEXT NOT NULL,
    holder TEXT NOT NULL,
    token BIGINT NOT NULL,
    expires_at TEXT NOT NULL,
    PRIMARY KEY (name)
)

CREATE TABLE book_probe (
    id BIGINT NOT NULL,
    writes BIGINT NOT NULL,
    PRIMARY KEY (id)
)

CREATE INDEX intents_signal ON intents (signal_id)

CREATE INDEX intents_state ON intents (state)

CREATE INDEX intents_created ON intents (created_at)

CREATE INDEX executions_base ON executions (base_id)

CREATE INDEX executions_intent ON executions (intent_id)

CREATE INDEX executions_at ON executions (at)

CREATE INDEX lots_contract ON lots (account, con_id)

CREATE INDEX lots_trade ON lots (trade_id)

CREATE INDEX trades_created ON trades (created_at)

CREATE INDEX decisions_at ON decisions (at)

CREATE INDEX decisions_signal ON decisions (signal_id)

CREATE INDEX denials_at ON denials (at)

CREATE INDEX signals_at ON signals (at)

CREATE INDEX idempotency_at ON idempotency (at)

CREATE INDEX snapshots_at ON broker_snapshots (at)

CREATE INDEX outbox_pending ON outbox (delivered_at)

CREATE INDEX adjustments_contract ON adjustments (account, con_id)

-- only: sqlite
CREATE TRIGGER journal_no_update BEFORE UPDATE ON journal
BEGIN SELECT RAISE(ABORT, 'journal rows are never changed'); END

-- only: sqlite
CREATE TRIGGER journal_no_delete BEFORE DELETE ON journal
WHEN NOT EXISTS (SELECT 1 FROM journal_aside a WHERE a.seq = OLD.seq AND a.hash = OLD.hash)
BEGIN SELECT RAISE(ABORT, 'journal rows are never changed'); END

-- only: sqlite
CREATE TRIGGER journal_aside_no_update BEFORE UPDATE ON journal_aside
BEGIN SELECT RAISE(ABORT, 'journal rows are never changed'); END

-- only: sqlite
CREATE TRIGGER journal_aside_no_delete BEFORE DELETE ON journal_aside
BEGIN SELECT RAISE(ABORT, 'journal rows are never changed'); END

-- only: postgresql
CREATE FUNCTION journal_guard() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
    IF TG_OP = 'DELETE' AND TG_TABLE_NAME = 'journal' AND TG_LEVEL = 'ROW' THEN
        IF EXISTS (SELECT 1 FROM journal_aside a WHERE a.seq = OLD.seq AND a.hash = OLD.hash) THEN RETURN OLD; END IF;
    END IF;
    RAISE EXCEPTION 'journal rows are never changed';
END $$

-- only: postgresql
CREATE TRIGGER journal_no_change BEFORE UPDATE OR DELETE ON journal
FOR EACH ROW EXECUTE FUNCTION journal_guard()

-- only: postgresql
CREATE TRIGGER journal_no_truncate BEFORE TRUNCATE ON journal
FOR EACH STATEMENT EXECUTE FUNCTION journal_guard()

-- only: postgresql
CREATE TRIGGER journal_aside_no_change BEFORE UPDATE OR DELETE ON journal_aside
FOR EACH ROW EXECUTE FUNCTION journal_guard()

-- only: postgresql
CREATE TRIGGER journal_aside_no_truncate BEFORE TRUNCATE ON journal_aside
FOR EACH STATEMENT EXECUTE FUNCTION journal_guard()

INSERT INTO book_probe (id, writes) VALUES (1, 0)
