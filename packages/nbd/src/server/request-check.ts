/**
 * Which requests a server refuses, and with what.
 *
 * @see doc/proto.md, "Request types", "Error values"
 * @module
 */
import { COMMAND, COMMAND_FLAG, ERRNO } from '../protocol/constants.ts'
import type { Errno } from '../protocol/constants.ts'
import type { ReplyStyle } from '../protocol/replies.ts'
import type { Request } from '../protocol/requests.ts'
import type { Session } from './handshake.ts'

export interface Refusal {
  readonly errno: Errno
  readonly message: string
}

interface Rule {
  /** Flags beyond FUA, which is tolerated everywhere. */
  readonly flags: number
  readonly isChange?: boolean
  /** Bounded by the longest payload. */
  readonly isData?: boolean
  readonly hasRange: boolean
}

const { dontFragment, noHole, requestOne, payloadLength } = COMMAND_FLAG

const RULES: Readonly<Record<number, Rule>> = {
  [COMMAND.read]: { flags: dontFragment, isData: true, hasRange: true },
  [COMMAND.write]: { flags: 0, isData: true, isChange: true, hasRange: true },
  [COMMAND.flush]: { flags: 0, hasRange: false },
  [COMMAND.trim]: { flags: 0, isChange: true, hasRange: true },
  [COMMAND.writeZeroes]: { flags: noHole, isChange: true, hasRange: true },
  [COMMAND.blockStatus]: { flags: requestOne, hasRange: true },
}

/**
 * Undefined for a request that may be served.
 *
 * @param length bytes of the disk that the request is about
 */
export const refusalOf = (
  request: Request,
  length: number,
  session: Session,
  maxRequestBytes: number,
): Refusal | undefined => {
  const rule = RULES[request.command]
  if (rule === undefined) return invalid('the command is unknown')
  if (!hasGoodFlags(request, rule, session.style)) return invalid('a flag does not go with this command')
  if (rule.isData === true && length > maxRequestBytes) return invalid(`longer than ${maxRequestBytes} bytes`)
  if (request.command === COMMAND.blockStatus && (session.contexts.length === 0 || length === 0))
    return invalid('a block status of nothing, or without a meta context')
  if (rule.hasRange && request.offset + length > session.export.disk.sizeBytes) return beyondEnd(request)
  if (rule.isChange === true && session.export.writer === undefined)
    return { errno: ERRNO.EPERM, message: 'the export is read-only' }
  return undefined
}

/**
 * With extended headers a write says that its length is that of a payload, and a block status may. QEMU's client, as of 10.0,
 * does not say it; since a write has a payload in any case, that is understood, as QEMU's own server does.
 */
const hasGoodFlags = ({ command, flags }: Request, rule: Rule, style: ReplyStyle): boolean => {
  const mayHavePayload = style === 'extended' && (command === COMMAND.write || command === COMMAND.blockStatus)
  const allowed = rule.flags | COMMAND_FLAG.fua | (mayHavePayload ? payloadLength : 0)
  return (flags & ~allowed) === 0
}

const beyondEnd = ({ command }: Request): Refusal => ({
  errno: command === COMMAND.write || command === COMMAND.writeZeroes ? ERRNO.ENOSPC : ERRNO.EINVAL,
  message: 'beyond the end of the export',
})

const invalid = (message: string): Refusal => ({ errno: ERRNO.EINVAL, message })
