/** Bounds of a server, and their defaults. @module */
import { MAX_TIMER_MS, settleNumbers } from '../number-options.ts'

const MiB = 1024 * 1024

/** Defaults and ranges. */
const LIMITS = {
  maxConnections: { initial: 1024, min: 1, max: 1_000_000 },
  handshakeTimeoutMs: { initial: 10_000, min: 1, max: MAX_TIMER_MS },
  stallTimeoutMs: { initial: 120_000, min: 1, max: MAX_TIMER_MS },
  minRateBytesPerSecond: { initial: 64 * 1024, min: 1, max: 2 ** 40 },
  maxRequestBytes: { initial: 32 * MiB, min: MiB, max: 64 * MiB },
  maxRequestsPerConnection: { initial: 16, min: 1, max: 4096 },
  maxBytesPerConnection: { initial: 8 * MiB, min: MiB, max: 1024 * MiB },
  maxBytes: { initial: 256 * MiB, min: MiB, max: 1024 * 1024 * MiB },
  closeGraceMs: { initial: 4000, min: 0, max: MAX_TIMER_MS },
} as const

export interface NbdServerLimits {
  /** Connections beyond this are closed at once. @default 1024 */
  readonly maxConnections?: number
  /** A client must have opened an export by then, TLS included. @default 10000 */
  readonly handshakeTimeoutMs?: number
  /**
   * A client that neither takes what it asked for nor sends what it announced is cut off after this,
   * plus the time that the bytes take at `minRateBytesPerSecond`. @default 120000
   */
  readonly stallTimeoutMs?: number
  /** Slowest client that counts as alive. @default 65536 */
  readonly minRateBytesPerSecond?: number
  /** Longest read or write, told to clients, bytes. @default 32 MiB */
  readonly maxRequestBytes?: number
  /** Requests at work at once on one connection; more wait in the socket. @default 16 */
  readonly maxRequestsPerConnection?: number
  /** Payload in memory for one connection, bytes; one request above it is served alone. @default 8 MiB */
  readonly maxBytesPerConnection?: number
  /** Payload in memory for all connections, bytes. @default 256 MiB */
  readonly maxBytes?: number
  /** How long `close` lets requests finish. @default 4000 */
  readonly closeGraceMs?: number
}

export type ServerLimits = Readonly<Required<NbdServerLimits>>

/** Fills in the defaults. @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a limit is out of its range */
export const settleLimits = (limits: NbdServerLimits): ServerLimits => settleNumbers(LIMITS, limits)
