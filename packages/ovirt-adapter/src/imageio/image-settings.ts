/** What a client of imageio can be told, and the bounds it keeps. @module */
import { setTimeout as sleep } from 'node:timers/promises'
import type { AbortOptions } from '@granary/core'

/** Time as the client needs it. A virtual one serves tests. */
export interface ImageClock {
  /** Resolves once that much time has passed; rejects with the signal's reason when it is aborted. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Runs `task` once in `ms`, and gives back what calls it off. */
  schedule(ms: number, task: () => void): () => void
}

export interface ImageOptions extends AbortOptions {
  /** Where the image is on its host; undefined when the engine names no host. */
  readonly transferUrl: string | undefined
  /** The same through the engine, used when the host can't be reached. */
  readonly proxyUrl?: string | undefined
  /** Certificates, PEM, that the host's must come from: the engine's internal authority. §1.3 */
  readonly ca: string
  /** The same for the proxy. @default `ca` */
  readonly proxyCa?: string
  /** Connections at most; fewer where the host allows fewer. @default 4 */
  readonly connections?: number
  /** Go over the host's own socket when we run on it. @default true */
  readonly isLocalAllowed?: boolean
  /** Milliseconds until an address counts as unreachable. @default 10000 */
  readonly connectTimeoutMs?: number
  /** Milliseconds without a byte until a request is repeated. @default 120000 */
  readonly stallTimeoutMs?: number
  /** Milliseconds that a list of extents, a flush, or zeroing a range may take. @default 1800000 */
  readonly longTimeoutMs?: number
  /** Milliseconds of idleness after which a request keeps the ticket alive: less than its inactivity timeout. @default 20000 */
  readonly keepAliveMs?: number
  /** @default real time */
  readonly clock?: ImageClock
}

/** Options with their defaults. */
export type ImageSettings = Required<Omit<ImageOptions, 'signal' | 'proxyUrl' | 'transferUrl'>>

export const settingsOf = ({
  ca,
  proxyCa = ca,
  connections = 4,
  isLocalAllowed = true,
  connectTimeoutMs = 10_000,
  stallTimeoutMs = 120_000,
  longTimeoutMs = 1_800_000,
  keepAliveMs = 20_000,
  clock = realClock,
}: ImageOptions): ImageSettings => ({
  ca,
  proxyCa,
  connections,
  isLocalAllowed,
  connectTimeoutMs,
  stallTimeoutMs,
  longTimeoutMs,
  keepAliveMs,
  clock,
})

const realClock: ImageClock = {
  sleep: async (ms, signal) => {
    await sleep(ms, undefined, signal === undefined ? {} : { signal })
  },
  schedule(ms, task) {
    const timer = setTimeout(task, ms).unref()
    return () => clearTimeout(timer)
  },
}

/** Longest range of one request, bytes: a ticket is looked at only when a request begins, and tickets live 300 s. §5.5 */
export const MAX_REQUEST_BYTES = 128 * 1024 * 1024
