// Habitué in the browser: tells what shoppers do, and shows slates. The guide is
// docs/guides/browser.md, the types are in habitue.d.ts. Lines of comment and indentation are left
// out when it is served, so a comment has a line of its own.
(() => {
  "use strict";
  const tag = document.currentScript, said = tag.dataset, nav = navigator;
  // How the shopper comes: said of each action, and of each request for a slate.
  const way = () => ({ platform: said.platform || "web", locale: nav.language,
    device: innerWidth < 768 ? "mobile" : "desktop" });
  const base = said.api || new URL(tag.src).origin;
  const prefix = said.prefix || "anon-";
  const MOST_ROWS = 50, MOST_KEPT = 500, SOON = 1000, LATE = 60000;

  // What is kept. Nothing but the answer itself before the shopper has said yes.
  const stored = (name, value, area = "localStorage") => {
    // Storage may be blocked or full: what is known then lasts as long as the page.
    try {
      const where = window[area], key = "habitue." + name;
      if (value === undefined) return JSON.parse(where.getItem(key));
      if (value === null) where.removeItem(key);
      else where.setItem(key, JSON.stringify(value));
    } catch { }
    return value;
  };
  const kept = (name, make, area) =>
    stored(name, undefined, area) || stored(name, make(), area);
  const random = (n) => [...crypto.getRandomValues(new Uint8Array(n))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
  // A UUID of version 7: sorts by time.
  const uuid = () => {
    const t = Date.now().toString(16).padStart(12, "0"), r = random(9);
    return `${t.slice(0, 8)}-${t.slice(8)}-7${r.slice(0, 3)}-8${r.slice(3, 6)}-${r.slice(6)}`;
  };

  // Consent and identity.
  let answer = stored("consent"), anonymous, session;
  const given = said.consent === "given" && !nav.globalPrivacyControl;
  const may = (purpose) => answer ? answer[purpose] === true : given;
  const known = () => may("personalisation") || may("analytics");
  const shopper = () => said.shopper || (anonymous ||= kept("id", () => prefix + random(16)));

  // Sending: batches in order, again until answered. Rows have ids: told twice, they count once.
  let outbox = [], waiting = [], timer, pause = 0, sending;
  const save = () => stored("outbox", known() && outbox[0] ? outbox : null, "sessionStorage");
  const address = (to) => {
    const query = new URLSearchParams();
    for (const name of ["key", "token"]) if (said[name]) query.set(name, said[name]);
    return `${base}/v1/${to}?${query}`;
  };
  // The next rows that go to one place, and how many; an order is never parted.
  const packed = (from = 0) => {
    const { to, row } = outbox[from], rows = [];
    if (to === "login") return ["events", row, 1];
    for (const next of outbox.slice(from)) {
      const order = next.row.order_id;
      const full = rows.length >= MOST_ROWS && !(order && order === rows.at(-1).order_id);
      if (next.to !== to || full) break;
      rows.push(next.row);
    }
    return [to, { [to === "events" ? "actions" : to]: rows }, rows.length];
  };
  const post = (to, body) => fetch(address(to), { method: "POST", body: JSON.stringify(body) });
  const deliver = async () => {
    while (outbox[0]) {
      const [to, body, n] = packed(), first = outbox[0];
      let status = 503;
      try { status = (await post(to, body)).status; } catch { }
      if (status >= 500 || status === 429 || status === 408) {
        pause = Math.min(LATE, pause * 2 || SOON);
        return later(pause);
      }
      if (status >= 400) console.warn(`habitue: ${n} rows refused (${status})`);
      pause = 0;
      // Unless the shopper has withdrawn meanwhile.
      if (outbox[0] === first) outbox.splice(0, n);
      save();
    }
  };
  const flush = () => {
    clearTimeout(timer);
    timer = 0;
    return sending ||= deliver().finally(() => sending = 0);
  };
  const later = (ms) => timer ||= setTimeout(flush, ms);
  const send = (to, row) => {
    outbox.push({ to, row });
    outbox.splice(0, outbox.length - MOST_KEPT);
    save();
    if (!pause) later(SOON);
  };
  // The page may never run again. What the beacons carry is sent again by the next page of this
  // tab, before it asks for a slate: it cannot know whether they have arrived.
  const leave = () => {
    dwelt();
    for (let at = 0; at < outbox.length;) {
      const [to, body, n] = packed(at);
      nav.sendBeacon(address(to), JSON.stringify(body));
      at += n;
    }
  };

  // What happened.
  const priced = ({ price, ...row }) => {
    if (price == null) return row;
    row.price_micros = Math.round(price * 1e6);
    if (row.currency) {
      const { maximumFractionDigits: digits } = new Intl.NumberFormat("en",
        { style: "currency", currency: row.currency }).resolvedOptions();
      row.value_minor ??= Math.round(price * (row.quantity || 1) * 10 ** digits);
    }
    return row;
  };
  const named = (row) => send("events", { ...row, shopper: shopper(),
    session_id: session ||= kept("session", uuid, "sessionStorage") });
  const track = (kind, fields = {}) => {
    const row = { id: uuid(), kind, ...way(), ...priced(fields) };
    if (known()) named(row);
    // In memory until they answer.
    else if (!answer) waiting.push(row);
  };
  // What is looked at, and since when it has been visible.
  let item = said.item, since = 0;
  const dwelt = () => {
    const seconds = since && (performance.now() - since) / 1000;
    if (item && seconds >= 1) track("dwell", { item, seconds: Math.min(86400, seconds) });
    since = 0;
  };
  const watch = () => since = document.hidden ? 0 : performance.now();
  const turn = (to) => { dwelt(); item = to; watch(); };
  const view = (id, fields) => { turn(id); track("view_item", { ...fields, item }); };

  // Slates.
  const shown = new WeakMap(), cards = new Map();
  let catalogue = async (items) => (await (await post("cards", { items })).json()).cards;
  const look = async (ids) => {
    const missing = ids.filter((id) => !cards.has(id));
    if (missing[0]) for (const card of await catalogue(missing)) cards.set(card.id, card);
  };
  const recommend = async (request) => {
    // So that the slate knows what was just done.
    await flush();
    const body = { surface: "home", ...way(), ...request };
    if (may("personalisation")) body.shopper = shopper();
    const reply = await post("recommend", body), told = await reply.json();
    if (!reply.ok) throw Error(told.detail);
    return told;
  };
  const money = (micros, currency) => micros == null ? "" : new Intl.NumberFormat(
    document.documentElement.lang || nav.language, currency && { style: "currency", currency },
  ).format(micros / 1e6);
  const web = (url) => /^https?:/.test(new URL(url, location)) ? url : "";
  const fill = (node, values) => {
    for (const part of [node, ...node.querySelectorAll("[data-habitue]")]) {
      const name = part.dataset.habitue, value = values[name] ?? "";
      if (!name) continue;
      if (name === "link") {
        if (value) part.href = web(value);
        continue;
      }
      if (name === "image") Object.assign(part, { src: web(value), alt: values.title });
      else part.textContent = value;
      part.hidden = value === "";
    }
    return node;
  };
  // An impression: half of it in sight, for a second. Without the item: it was not chosen.
  const sight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const slot = shown.get(target);
      clearTimeout(slot.timer);
      if (isIntersecting) slot.timer = setTimeout(() => {
        sight.unobserve(target);
        track("view_item_list", { ...slot.credit, item: undefined });
      }, 1000);
    }
  }, { threshold: .5 });
  const render = async (place) => {
    const { habitueSurface: surface, n, items, filter, template } = place.dataset;
    const form = (place.querySelector("template") || document.querySelector(template)).content;
    const anchors = items ? items.split(",") : item && surface === "item" ? [item] : [];
    const slate = await recommend({ surface, n: +n || 8, items: anchors, filter });
    await look(slate.items.map((slot) => slot.item));
    const nodes = slate.items.map((slot, at) => {
      const card = cards.get(slot.item) || {}, sale = card.sale_price_micros;
      const full = money(card.price_micros, card.currency);
      const node = fill(form.firstElementChild.cloneNode(true), {
        title: slot.item, ...card, item: slot.item, reason: slot.reason, image: card.image_link,
        price: money(sale, card.currency) || full, was: sale == null ? "" : full });
      const credit = { item: slot.item, slate_id: slate.slate_id, slot: at, surface };
      shown.set(node, { credit, place });
      sight.observe(node);
      return node;
    });
    place.replaceChildren(...place.querySelectorAll(":scope > template"), ...nodes);
    place.dispatchEvent(new CustomEvent("habitue:slate", { detail: slate, bubbles: true }));
    return slate;
  };
  const refresh = () => Promise.all([...document.querySelectorAll("[data-habitue-surface]")]
    .map((place) => render(place).catch((error) => console.warn(`habitue: ${error.message}`))));
  document.addEventListener("click", ({ target }) => {
    const at = (wanted) => target.closest(wanted), button = at("[data-habitue-cart]");
    let node = target;
    while (node && !shown.has(node)) node = node.parentElement;
    const { credit, place } = shown.get(node) || {};
    if (button) cart(button.dataset.habitueCart || credit.item, credit);
    else if (credit && at("[data-habitue-dismiss]")) { track("not_interested", credit); render(place); }
    else if (credit && at("a, button")) track("select_item", credit);
  }, true);

  // What a page calls.
  const cart = (id, fields) => track("add_to_cart", { ...fields, item: id });
  const forget = () => {
    for (const name of ["id", "joined"]) stored(name, null);
    for (const name of ["session", "outbox"]) stored(name, null, "sessionStorage");
    outbox = [];
    anonymous = session = 0;
  };
  const api = {
    track, view, cart, recommend, render, refresh, flush,
    page: () => { turn(); track("page_view"); return refresh(); },
    uncart: (id, fields) => track("remove_from_cart", { ...fields, item: id }),
    search: (query) => track("search", { query }),
    purchase: ({ items, ...order }) => {
      for (const line of items) track("purchase", { ...order, ...line });
      return flush();
    },
    catalogue: (ask) => { catalogue = ask; },
    identify: (id, token) => {
      const before = anonymous || stored("id");
      Object.assign(said, { shopper: id, token });
      if (before && known() && stored("joined") !== id) {
        stored("joined", id);
        send("login", { client_id: before, user_id: id, events: [{ name: "login" }] });
      }
    },
    forget: () => { delete said.shopper; delete said.token; forget(); },
    consent: (says) => {
      if (!says) return answer;
      const before = known() && shopper();
      answer = stored("consent", { ...answer, ...says });
      const those = (is) => Object.keys(says).filter((name) => says[name] === is);
      if (!known()) forget();
      const who = known() ? shopper() : before;
      if (who) send("consents", { shopper: who, granted: those(true), denied: those(false) });
      if (known()) waiting.forEach(named);
      waiting = [];
      return refresh();
    },
    push: ([name, ...words]) => api[name](...words),
  };
  const asked = window.habitue || [];
  window.habitue = api;
  if (known()) {
    outbox = (stored("outbox", undefined, "sessionStorage") || []).filter(({ row }) =>
      said.shopper === (row.user_id || row.shopper) || row.shopper?.startsWith(prefix));
    if (said.shopper) api.identify(said.shopper, said.token);
  }
  document.addEventListener("visibilitychange", () => document.hidden ? leave() : watch());
  const start = () => {
    if (said.auto !== "off") {
      track("page_view");
      if (said.query) api.search(said.query);
      if (item) view(item);
    }
    asked.forEach(api.push);
    if (said.auto !== "off") refresh();
  };
  if (document.readyState === "loading") document.addEventListener("DOMContentLoaded", start);
  else start();
})();
