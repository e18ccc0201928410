// Types of /habitue.js. The guide is docs/guides/browser.md.

/** What a shopper may allow. */
export type Purpose = "personalisation" | "analytics" | "messages" | "research";

/** What may be said beside an item; amounts are in units of `currency` (7.95, "EUR"). */
export interface Fields {
  price?: number;
  currency?: string;
  quantity?: number;
  rating?: number;
  text?: string;
  coupon?: string;
  surface?: string;
  slate_id?: string;
  slot?: number;
  /** `data-platform` of the script, else `"web"`, where not said. */
  platform?: string;
  /** `"mobile"` or `"desktop"`, by the width of the window, where not said. */
  device?: string;
  /** The browser's language where not said. */
  locale?: string;
  extra?: Record<string, string | number | boolean | null>;
}

export interface Order {
  order_id: string;
  currency: string;
  coupon?: string;
  items: { item: string; price: number; quantity?: number }[];
}

export interface SlateRequest {
  surface?: string;
  /** The item looked at, or the items in the cart. */
  items?: string[];
  n?: number;
  filter?: string;
  query?: string;
  /** As of actions (`Fields`): how the shopper comes. */
  platform?: string;
  device?: string;
  locale?: string;
  /** `next_page` of the answer before. */
  page?: string;
}

export interface Slot {
  item: string;
  score: number;
  propensity: number;
  source?: string;
  /** Why it is here, for the shopper to read. */
  reason?: string;
  causes?: string[];
}

export interface Slate {
  slate_id: string;
  surface: string;
  items: Slot[];
  snapshot: string;
  arm: string;
  seen_seq: number;
  /** Why this is not the shopper's own trained slate; empty when it is. */
  fallback: string;
  next_page: string | null;
}

/** What a template is filled with; prices in millionths of `currency`. */
export interface Card {
  id: string;
  title?: string;
  link?: string;
  image_link?: string;
  brand?: string;
  price_micros?: number;
  sale_price_micros?: number;
  currency?: string;
  availability?: string;
}

export interface Habitue {
  /** Another page of a site that loads no pages: tells of it and fills every slate anew. */
  page(): Promise<unknown>;
  /** The shopper looks at an item; how long it stays visible is told as `dwell`. */
  view(item: string, fields?: Fields): void;
  cart(item: string, fields?: Fields): void;
  uncart(item: string, fields?: Fields): void;
  /** An order, told whole; resolves when it was sent. */
  purchase(order: Order): Promise<unknown>;
  search(query: string): void;
  /** Any other kind of action, by its GA4 name. */
  track(kind: string, fields?: Fields & { item?: string; query?: string; seconds?: number }): void;
  /** Asks for a slate and leaves showing it to the page. */
  recommend(request?: SlateRequest): Promise<Slate>;
  /** Fills the elements of one slate (`data-habitue-surface`) anew. */
  render(place: HTMLElement): Promise<Slate>;
  /** Fills every slate of the page anew. */
  refresh(): Promise<unknown>;
  /** Sends what waits. */
  flush(): Promise<unknown>;
  /** Where titles, links, pictures and prices come from, if not from Habitué's own catalogue. */
  catalogue(ask: (items: string[]) => Promise<Card[]>): void;
  /** The shopper has signed in: their id, and the token that the shop's server signed for it. */
  identify(shopper: string, token?: string): void;
  /** The shopper has signed out, or wants to be nobody again: ids on this device are deleted. */
  forget(): void;
  /** What the shopper allows; without an argument, what they have answered so far. */
  consent(): Partial<Record<Purpose, boolean>> | null;
  consent(says: Partial<Record<Purpose, boolean>>): Promise<unknown>;
  /** A call as a list, for pages that call before the script has loaded. */
  push(call: [name: string, ...words: unknown[]]): unknown;
}

declare global {
  interface Window {
    habitue: Habitue;
  }
  interface HTMLElementEventMap {
    "habitue:slate": CustomEvent<Slate>;
  }
}
