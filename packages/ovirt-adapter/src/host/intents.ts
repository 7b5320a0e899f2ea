/** What a copy on the host writes down before it does it, so that the next start can undo it. @module */
import type { AbortOptions } from '@granary/core'

/** A pull-mode backup job with its folder of scratch files. */
export interface PullIntent {
  readonly kind: 'host-pull'
  readonly domain: string
  readonly uri: string
  /** Ours alone: holds the scratch files and the socket. */
  readonly folder: string
}

export interface OverlayDisk {
  readonly target: string
  /** The file the guest wrote to before, and must write to again. */
  readonly base: string
  /** Of the base. */
  readonly format: string
  readonly overlay: string
}

/** Overlays that take the guest's writes while their bases are read. */
export interface OverlayIntent {
  readonly kind: 'host-overlay'
  readonly domain: string
  readonly uri: string
  /** Ours alone: holds the overlays. */
  readonly folder: string
  /** Of the folder around it: tells whether it is still the same file system. */
  readonly scratchInode: number
  /** Stands in the running domain's metadata: it is gone when the domain was started again. */
  readonly token: string
  readonly disks: readonly OverlayDisk[]
}

/** A script that must run in the guest because the one before it did. */
export interface ScriptIntent {
  readonly kind: 'host-script'
  readonly domain: string
  readonly uri: string
  readonly path: string
  readonly timeoutMs: number
}

export type HostIntent = PullIntent | OverlayIntent | ScriptIntent

/** Where intents are kept. What was intended and is not settled is undone by the next start. */
export interface HostJournal {
  /** Resolves when the intent is durable. */
  intend(intent: HostIntent, options?: AbortOptions): Promise<SettleIntent>
}

/** Says that nothing of the intent is left. */
export type SettleIntent = () => Promise<void>

/** For callers that keep no journal: a crash leaves what it leaves. */
export const noJournal: HostJournal = { intend: async () => async () => undefined }
