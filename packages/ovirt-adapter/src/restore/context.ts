/** What a restore works with, and what it tells while it works. @module */
import type { AbortOptions, DiskReader, DiskWriter } from '@granary/core'
import type { OvirtConfig } from '../config/ovirt-config.ts'
import type { Engine } from '../engine/engine.ts'
import type { Journal } from '../journal/journal.ts'
import type { RestoreSource } from './plan.ts'

export type RestoreSettings = Pick<
  OvirtConfig,
  'transferStartMs' | 'transferInactivitySeconds' | 'transferFinalizeMs' | 'uploadStallMs' | 'vmStateMs' | 'limits'
>

export interface OpenUploadOptions extends AbortOptions {
  /** At the host; undefined when the engine names none. */
  readonly transferUrl: string | undefined
  /** Through the engine, where the host can't be reached. */
  readonly proxyUrl: string | undefined
  /** Certificates, PEM, of the hosts' authority. */
  readonly ca: string
  /** At most; fewer where the host allows no more. */
  readonly connections: number
  /** What was never written is known to be zero. */
  readonly readsZero: boolean
}

/** Opens the image of an upload that is `transferring`. */
export type OpenUpload = (options: OpenUploadOptions) => Promise<DiskReader & DiskWriter>

/** A step that begins. */
export interface RestoreStep {
  readonly type: 'step'
  readonly step: 'machine' | 'nics' | 'disk' | 'attach' | 'finish' | 'start'
  /** Whom it is about: a name. */
  readonly what: string
}

export interface RestoreDiskProgress {
  readonly type: 'disk-progress'
  readonly disk: string
  readonly doneBytes: number
  readonly totalBytes: number
}

export type OnRestoreEvent = (event: RestoreStep | RestoreDiskProgress) => void

/** All of it is the caller's to close. */
export interface RestoreContext {
  readonly engine: Engine
  readonly journal: Journal
  readonly openUpload: OpenUpload
  readonly settings: RestoreSettings
  readonly onEvent?: OnRestoreEvent
}

/** A source whose disks can be read. */
export interface ReadableSource extends RestoreSource {
  /** @param name of the disk in the snapshot. Whoever opens it closes it */
  openDisk(name: string, options: AbortOptions): Promise<DiskReader>
}

/** A "not now" of the engine is repeated for so long: what we made a moment ago may still be locked. */
export const CONFLICT_TIMEOUT_MS = 180_000
