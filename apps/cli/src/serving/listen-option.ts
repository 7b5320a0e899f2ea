/** Where `granary serve` listens. @module */
import { GranaryError } from '@granary/core'
import { activatedSockets, parseListenAddress } from '@granary/nbd'
import type { ParsedListenAddress } from '@granary/nbd'

/**
 * Reads `--listen`: what `parseListenAddress` reads, `nbd+unix:///PATH` for short, and `fd:` for the socket
 * that systemd or nbdcopy handed over.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when it is none of these, or no socket was handed over
 */
export const parseListenOption = (
  text: string,
  environment: Readonly<Record<string, string | undefined>>,
  pid: number,
): ParsedListenAddress => {
  if (text !== 'fd:') return parseListenAddress(withSocket(text))
  const [fd] = activatedSockets(environment, pid)
  if (fd !== undefined) return { address: { kind: 'fd', fd }, isTls: false }
  throw new GranaryError('GRANARY_INVALID_ARGUMENT', 'fd: no socket was handed over to this process', {
    hint: 'start it by systemd socket activation or as `nbdcopy -- [ granary serve DISK --listen fd: ] TARGET`, or give fd:N',
  })
}

/** A listening address has no export name: what stands in its place can only be the socket. */
const withSocket = (text: string): string => {
  const [, scheme, path] = /^(nbds?\+unix):\/\/(\/[^?]+)$/.exec(text) ?? []
  return scheme === undefined || path === undefined ? text : `${scheme}:///?socket=${path}`
}
