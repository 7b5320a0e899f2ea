/** All transfers of one machine's backup: each is told to end as soon as it was read, and waited for at the end. @module */
import { isGranaryError } from '@granary/core'
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import type { Journal } from '../journal/journal.ts'
import { TransferWatch } from './transfer-watch.ts'
import { finalizeDownload, openDownload, waitUntilFinished } from './transfers.ts'
import type { FindTransfer, OpenTransfer } from './transfers.ts'
import type { TransferSettings } from './settings.ts'

export interface TransferSetOptions {
  readonly engine: Engine
  readonly journal: Journal
  readonly settings: TransferSettings
  readonly vmId: string
  /** Undefined: plain transfers. */
  readonly backupId?: string | undefined
}

export class TransferSet {
  readonly #options: TransferSetOptions
  readonly #open = new Set<OpenTransfer>()
  readonly #ended = new Set<OpenTransfer>()
  readonly #find: FindTransfer

  constructor(options: TransferSetOptions) {
    this.#options = options
    const watch = new TransferWatch(options.engine)
    this.#find = async (id, abort) => await watch.find(id, abort)
  }

  /** @throws as `openDownload` */
  async open(diskId: string, { isPlain, signal }: AbortOptions & { readonly isPlain: boolean }): Promise<OpenTransfer> {
    const { backupId, vmId, ...options } = this.#options
    const transfer = await openDownload(options, {
      vmId,
      diskId,
      ...(isPlain ? {} : { backupId }),
      settings: options.settings,
      find: this.#find,
      signal,
    })
    this.#open.add(transfer)
    return transfer
  }

  /** Tells the engine that a transfer was read; its connections must be closed. A failure is met again in `settle`. */
  async release(transfer: OpenTransfer): Promise<void> {
    if (!this.#open.delete(transfer)) return
    this.#ended.add(transfer)
    await finalizeDownload(this.#options.engine, transfer.transfer.id).catch(() => undefined)
  }

  /**
   * Ends what is open and waits until the engine holds nothing of it.
   *
   * @returns a warning for each that takes too long: it stays in the journal
   */
  async settle(): Promise<readonly string[]> {
    const { engine, settings } = this.#options
    for (const transfer of this.#open) await this.release(transfer)
    const warnings: string[] = []
    for (const { transfer, entry } of this.#ended) {
      try {
        await waitUntilFinished(engine, transfer.id, { timeoutMs: settings.transferFinalizeMs, find: this.#find })
        await entry.end()
      } catch (error) {
        if (!isGranaryError(error)) throw error
        warnings.push(`transfer ${transfer.id} of disk ${transfer.diskId ?? '?'}: ${error.message}`)
      }
    }
    this.#ended.clear()
    return warnings
  }
}
