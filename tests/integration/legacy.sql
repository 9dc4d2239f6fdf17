-- A small old installation. AAA pays 2 on 100 (2018-02-02) and halves on 2018-02-05; its adjusted
-- close also jumps by half on 2018-02-06, which is neither.
CREATE TABLE core_stock (
  date DATETIME, symbol VARCHAR(5), open DOUBLE, high DOUBLE, low DOUBLE, close DOUBLE,
  adjusted_close DOUBLE, volume BIGINT, PRIMARY KEY (date, symbol));
INSERT INTO core_stock VALUES
  ('2018-02-01', 'AAA', 100, 100, 100, 100, 31.85, 100),
  ('2018-02-02', 'AAA', 100, 100, 100, 100, 32.5, 100),
  ('2018-02-05', 'AAA', 50, 50, 50, 50, 32.5, 100),
  ('2018-02-06', 'AAA', 50, 50, 50, 50, 50, 100),
  ('2018-02-07', 'AAA', 50.5, 50.5, 50.5, 50.5, 50.5, 100),
  ('2018-02-07', 'b.b', 1, 1, 1, 1, 1, NULL),
  ('2018-02-07', '??', 1, 1, 1, 1, 1, 1);
CREATE TABLE technical_indicators (
  date DATETIME, symbol VARCHAR(5), sma_20 DOUBLE, sma_50 DOUBLE, sma_200 DOUBLE, ema_20 DOUBLE,
  ema_50 DOUBLE, ema_200 DOUBLE, macd DOUBLE, rsi_14 DOUBLE, adx_14 DOUBLE, atr_14 DOUBLE,
  cci_14 DOUBLE, bbands_upper_20 DOUBLE, bbands_middle_20 DOUBLE, bbands_lower_20 DOUBLE,
  PRIMARY KEY (date, symbol));
CREATE TABLE economic_indicators (
  date DATETIME PRIMARY KEY, treasury_yield_2year DOUBLE, treasury_yield_10year DOUBLE, ffer DOUBLE,
  cpi DOUBLE, inflation DOUBLE, retail_sales DOUBLE, durables DOUBLE, unemployment DOUBLE,
  nonfarm_payroll DOUBLE);
INSERT INTO economic_indicators VALUES
  ('2017-12-01', 1.9, NULL, NULL, 246.5, NULL, NULL, NULL, 4.1, NULL),
  ('2018-01-01', NULL, NULL, NULL, 247.9, NULL, NULL, NULL, 4.1, NULL);
CREATE TABLE quarterly_earnings (
  fiscal_date_ending DATETIME, symbol VARCHAR(5), reported_eps DOUBLE, estimated_eps DOUBLE,
  ttm_eps DOUBLE, surprise DOUBLE, surprise_percentage DOUBLE, latest_trading_day DATETIME);
INSERT INTO quarterly_earnings VALUES
  ('2017-09-30', 'AAA', 1.5, 1.4, 6, 0.1, 7.1, '2017-11-01'),
  ('2017-12-31', 'AAA', NULL, 1.6, NULL, NULL, NULL, NULL);
CREATE TABLE company_overview (
  symbol VARCHAR(5) PRIMARY KEY, exchange VARCHAR(10), country VARCHAR(20), sector VARCHAR(50),
  industry VARCHAR(100), market_capitalization BIGINT, shares_outstanding BIGINT, book_value DOUBLE,
  dividend_yield DOUBLE, eps DOUBLE, price_to_book_ratio DOUBLE, beta DOUBLE, 52_week_high DOUBLE,
  52_week_low DOUBLE, forward_pe DOUBLE, analyst_rating_strong_buy INT, analyst_rating_buy INT,
  analyst_rating_hold INT, analyst_rating_sell INT, analyst_rating_strong_sell INT);
INSERT INTO company_overview VALUES
  ('AAA', 'NYSE', 'USA', 'FINANCE', 'BANKS', 1000, 20, 5, NULL, 2, 10, 1.1, 110, 40, 12, 1, 2, 3, 4, 5);
CREATE TABLE stock_splits (symbol VARCHAR(5), effective_date DATETIME, split_factor DOUBLE);
INSERT INTO stock_splits VALUES ('AAA', '2018-02-05', 2);
CREATE TABLE historical_options (
  contract_id VARCHAR(30), date DATETIME, symbol VARCHAR(8), type ENUM('call', 'put'),
  expiration DATE, strike FLOAT, last FLOAT, mark FLOAT, bid FLOAT, ask FLOAT, volume INT,
  implied_volatility FLOAT, delta FLOAT, gamma FLOAT, theta FLOAT, vega FLOAT, rho FLOAT);
INSERT INTO historical_options VALUES
  ('AAA180216C00050000', '2018-02-07', 'AAA', 'call', '2018-02-16', 50, 1, 1, 0.9, 1.1, 7, 0.2, 0.5,
  0.1, -0.1, 0.1, 0.1);
CREATE TABLE options_daily_summary (
  symbol VARCHAR(20), date DATE, call_volume BIGINT, put_volume BIGINT, total_volume BIGINT);
INSERT INTO options_daily_summary VALUES ('AAA', '2018-02-07', 7, 3, 10);
