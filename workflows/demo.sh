#!/usr/bin/env bash
# One night here: the shipped vendor simulator on loopback, the real client, the real workflow.
set -euo pipefail
cd "$(dirname "$0")/.."
bft=.venv/bin/bft root=${1:-demo} asof=2025-06-30
log=$(mktemp)
$bft serve market-sim --port 0 --start 2022-01-03 --today $asof >"$log" 2>&1 &
sim=$!
trap 'kill $sim 2>/dev/null; rm -f "$log"' EXIT
echo "A night of 60 simulated stocks, $asof: prices, nine models, reports; about a minute."
for _ in $(seq 300); do
  url=$(grep -o 'http://[0-9.:]*' "$log" || true)
  [ -n "$url" ] && break
  kill -0 $sim 2>/dev/null || { cat "$log" >&2; exit 75; }
  sleep 0.1
done
[ -n "$url" ] || { cat "$log" >&2; echo "the simulator gave no address in 30 s; run again" >&2; exit 75; }
BFT_SIM_URL=$url $bft run nightly --root "$root" --asof $asof --source sim
cat <<END

A night of simulated data, 60 stocks, is in $(cd "$root" && pwd). Look at:
  $(cd "$root" && ls -d "$PWD"/reports/$asof/screener_$asof.pdf)
  $(cd "$root" && ls -d "$PWD"/reports/$asof/day.html)
  nine models:       $bft serve --root $root mlflow
  what ran:          $bft status --root $root
  run it again:      $bft run nightly --root $root   (nothing is left to do)
What bft prints names it \`bft\`; so that this is found: source .venv/bin/activate
Your own prices, a CSV or Parquet file with symbol, date, open, high, low, close, volume (docs/sources.md):
  $bft run nightly --root mine --asof DATE --source files:PATH --profile realdata
END
