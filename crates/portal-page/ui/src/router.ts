// Addresses of the page. Every view has one, so that main can link to it.

export type Route = { view: string; name: string; action: string; query: URLSearchParams };

export function parse(location: { pathname: string; search: string }): Route {
  const [, , view = "", name = "", action = ""] = location.pathname.split("/");
  return {
    view: location.pathname === "/" ? "" : view,
    name: decodeURIComponent(name),
    action: decodeURIComponent(action),
    query: new URLSearchParams(location.search),
  };
}

export function go(path: string, replace = false) {
  if (replace) history.replaceState(null, "", path);
  else history.pushState(null, "", path);
  window.dispatchEvent(new CustomEvent("navigated"));
}

/** Lets links of the page change the view without loading anything. */
export function followLinks(event: MouseEvent) {
  const link = event.composedPath().find((one) => one instanceof HTMLAnchorElement) as HTMLAnchorElement | undefined;
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || link.target || link.hasAttribute("download") || link.origin !== location.origin) return;
  if (link.pathname !== "/" && !link.pathname.startsWith("/portal")) return;
  event.preventDefault();
  go(link.pathname + link.search);
}
