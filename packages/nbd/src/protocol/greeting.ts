/**
 * The first words of server and client.
 *
 * @see doc/proto.md, "Newstyle negotiation"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { Bytes } from '@granary/core'
import { FRAME_BYTES, HANDSHAKE_FLAG, MAGIC } from './constants.ts'
import { isMagic, protocolError, viewOf, writeMagic } from './fields.ts'

const KNOWN_FLAGS = HANDSHAKE_FLAG.fixedNewstyle | HANDSHAKE_FLAG.noZeroes

/** A fixed newstyle greeting: two magic words, then flags (u16). */
export const encodeGreeting = (): Bytes => {
  const bytes = new Uint8Array(FRAME_BYTES.greeting)
  const view = viewOf(bytes)
  writeMagic(view, 0, MAGIC.init)
  writeMagic(view, 8, MAGIC.option)
  view.setUint16(16, KNOWN_FLAGS)
  return bytes
}

/**
 * The handshake flags of a greeting, unknown ones masked.
 *
 * @param bytes 18 bytes
 * @throws GranaryError `GRANARY_UNSUPPORTED` for an oldstyle server, `GRANARY_PROTOCOL` for what is no NBD server
 */
export const decodeGreeting = (bytes: Bytes): number => {
  const view = viewOf(bytes)
  if (!isMagic(view, 0, MAGIC.init)) throw protocolError('the peer is no NBD server: it greets with other bytes')
  if (isMagic(view, 8, MAGIC.oldstyle))
    throw new GranaryError('GRANARY_UNSUPPORTED', 'NBD: the server speaks the oldstyle protocol', {
      hint: 'Serve the disk with a newstyle server: oldstyle has neither TLS nor structured replies.',
    })
  if (!isMagic(view, 8, MAGIC.option)) throw protocolError('the second word of the greeting is unknown')
  return view.getUint16(16) & KNOWN_FLAGS
}

export const encodeClientFlags = (flags: number): Bytes => {
  const bytes = new Uint8Array(FRAME_BYTES.clientFlags)
  viewOf(bytes).setUint32(0, flags)
  return bytes
}

/** @throws GranaryError `GRANARY_PROTOCOL` when the client sets a flag that was not offered */
export const decodeClientFlags = (bytes: Bytes): number => {
  const flags = viewOf(bytes).getUint32(0)
  if ((flags & ~KNOWN_FLAGS) !== 0) throw protocolError('the client sets unknown handshake flags', { flags })
  return flags
}
