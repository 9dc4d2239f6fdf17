"use strict";
(() => {
  const find = (id) => document.getElementById(id);
  const page = { "X-BFT-Page": "1" };

  async function ask(method, path, body) {
    const headers = { ...page };
    if (body !== undefined) headers["Content-Type"] = "application/json";
    const mode = document.querySelector(".mode");
    if (mode && path.startsWith("/v1/")) headers["X-BFT-Mode"] = mode.classList[1];
    const got = await fetch(path, { method, headers, body: body && JSON.stringify(body) });
    if (got.ok) return;
    const told = await got.json().catch(() => ({}));
    throw new Error(told.message || `the executor answered ${got.status}`);
  }

  const login = find("login");
  if (login) {
    login.addEventListener("submit", async (event) => {
      event.preventDefault();
      const token = login.elements.token.value.trim();
      try {
        await ask("POST", "/session", { token });
        location.reload();
      } catch (error) {
        find("login-error").textContent = error.message;
      }
    });
    return;
  }

  const board = find("board"), fresh = find("fresh"), dialog = find("ask");
  let last = Date.now();

  const folds = () => [...document.querySelectorAll("details.fold")];
  const opened = new Map();
  const small = matchMedia("(max-width: 760px)").matches;
  const fold = () => folds().forEach((part) => { part.open = opened.get(part.id) ?? !small; });
  board.addEventListener("click", (event) => {
    const part = event.target.closest("summary")?.parentElement;
    if (part) opened.set(part.id, !part.open);
  });
  fold();

  function show(text) {
    const held = document.activeElement?.closest?.("summary")?.parentElement.id;
    board.innerHTML = text;
    fold();
    if (held) find(held)?.querySelector("summary").focus();
  }

  async function refresh() {
    if (document.hidden || dialog.open) return;
    try {
      const got = await fetch("/?part=board", { headers: page });
      if (got.status === 401) return location.reload();
      if (!got.ok) throw new Error(String(got.status));
      const text = await got.text();
      if (!dialog.open) show(text);
      last = Date.now();
      fresh.textContent = "connected";
      fresh.className = "";
    } catch {
      fresh.textContent = `no answer for ${Math.round((Date.now() - last) / 1000)} s`;
      fresh.className = "stale";
    }
  }
  setInterval(refresh, Number(document.body.dataset.refresh));
  document.addEventListener("visibilitychange", refresh);

  const acts = {
    kill: () => ({ title: "Pull the kill switch?", text: "No opening order leaves any more, and entries at work are cancelled. Exits and stops stay.", yes: "Stop opening", run: () => ask("POST", "/v1/kill", { reason: "page" }) }),
    flatten: () => ({ title: "Stop opening and close everything?", text: "The kill switch latches and every position is sold or bought back at once.", yes: "Kill and flatten", run: () => ask("POST", "/v1/kill", { flatten: true, reason: "page" }) }),
    unkill: (d) => ({ title: "Open again?", text: `Entries may leave again. This clears generation ${d.generation} of the kill switch.`, yes: "Open again", run: () => ask("DELETE", `/v1/kill?confirm=${encodeURIComponent(d.generation)}`) }),
    close: (d) => ({ title: `Close ${d.symbol}?`, text: `All ${d.qty} units of ${d.symbol} leave, and its entries at work are cancelled.`, yes: `Close ${d.symbol}`, run: () => ask("POST", "/v1/close", { symbols: [d.symbol] }) }),
    "close-all": () => ({ title: "Close every position?", text: "All positions leave, and all entries at work are cancelled.", word: "Type the whole account id", yes: "Close all", run: (word) => ask("POST", "/v1/close", { all: true, confirm: word }) }),
    cancel: (d) => ({ title: `Cancel the order in ${d.symbol}?`, text: "What is filled already stays, with its exits.", yes: "Cancel it", run: () => ask("DELETE", `/v1/orders/${encodeURIComponent(d.id)}`) }),
    resume: (d) => ({ title: `Resume ${d.symbol}?`, text: `Entries may leave again once halt ${d.id} is over.`, yes: "Resume", run: () => ask("POST", "/v1/resume", { confirm: d.id, note: "page" }) }),
  };
  let chosen = null;

  function open(act) {
    chosen = act;
    find("ask-title").textContent = act.title;
    find("ask-text").textContent = act.text;
    find("ask-yes").textContent = act.yes;
    find("ask-error").textContent = "";
    const word = find("ask-word"), input = word.querySelector("input");
    word.hidden = !act.word;
    word.querySelector("span").textContent = act.word || "";
    input.value = "";
    dialog.showModal();
    (act.word ? input : find("ask-no")).focus();
  }

  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-act]");
    if (!button) return;
    if (button.dataset.act === "logout") {
      await ask("DELETE", "/session").catch(() => {});
      return location.reload();
    }
    open(acts[button.dataset.act](button.dataset));
  });
  find("ask-no").addEventListener("click", () => dialog.close());
  dialog.querySelector("form").addEventListener("submit", (event) => event.preventDefault());
  find("ask-yes").addEventListener("click", async () => {
    const yes = find("ask-yes");
    yes.disabled = true;
    try {
      await chosen.run(dialog.querySelector("input").value.trim());
      dialog.close();
      await refresh();
    } catch (error) {
      find("ask-error").textContent = error.message;
    }
    yes.disabled = false;
  });
})();
