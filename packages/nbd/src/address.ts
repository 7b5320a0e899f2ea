/** Where an NBD peer is. @module */

/** TCP, or a unix socket. A path that begins with NUL is a Linux abstract socket. */
export type NbdAddress =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

/** For messages: `host:port`, or the path (`@name` when abstract). */
export const describeAddress = (address: NbdAddress): string =>
  address.kind === 'tcp'
    ? `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`
    : address.path.replace(/^\0/, '@')
