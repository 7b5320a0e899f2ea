/** Where a server listens. @module */
import { GranaryError } from '@granary/core'
import type { NbdAddress } from '../address.ts'
import { parseNbdUri } from '../uri.ts'

export type ListenAddress =
  | NbdAddress
  /** A listening socket that was handed over, see `activatedSockets`. */
  | { readonly kind: 'fd'; readonly fd: number }
  /** One client, at standard input and output. */
  | { readonly kind: 'stdio' }

export interface ParsedListenAddress {
  readonly address: ListenAddress
  /** True when the scheme asks for TLS. */
  readonly isTls: boolean
}

/**
 * Reads nbd://HOST:PORT, nbds://…, nbd+unix:///?socket=PATH, nbds+unix://…, fd:N (fd: is fd:3) or stdio:.
 * Without a host only this machine can connect; 0.0.0.0 or [::] let everybody. Port 0 takes a free one.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when the text is none of these
 */
export const parseListenAddress = (text: string): ParsedListenAddress => {
  if (text === 'stdio:') return { address: { kind: 'stdio' }, isTls: false }
  const fd = /^fd:(\d{0,6})$/.exec(text)
  if (fd !== null) return { address: { kind: 'fd', fd: fd[1] === '' ? 3 : Number(fd[1]) }, isTls: false }
  const anyPort = /^(nbds?:\/\/[^/]*):0(\/.*)?$/.exec(text)
  const uri = parseNbdUri(anyPort === null ? text : `${anyPort[1]}${anyPort[2] ?? ''}`)
  if (uri.exportName !== '')
    throw new GranaryError('GRANARY_INVALID_ARGUMENT', `${text}: a listening address has no export name`, {
      detail: { address: text },
      hint: 'Name the export with its own option.',
    })
  const { address, isTls } = uri
  return { address: anyPort !== null && address.kind === 'tcp' ? { ...address, port: 0 } : address, isTls }
}
