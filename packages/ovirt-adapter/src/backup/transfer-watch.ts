/** The engine's list of transfers, read at most once in two seconds for all who wait for one of them. @module */
import type { AbortOptions } from '@granary/core'
import type { Engine } from '../engine/engine.ts'
import { listTransfers } from '../engine/resources/transfers.ts'
import type { ImageTransfer } from '../engine/resources/transfers.ts'
import { POLL_MS } from '../engine/wait-for.ts'

export class TransferWatch {
  readonly #engine: Engine
  #list: Promise<readonly ImageTransfer[]> | undefined
  #readAtMs = 0

  constructor(engine: Engine) {
    this.#engine = engine
  }

  /**
   * A transfer as it was within the last two seconds: whoever made or changed one waits that long before asking.
   *
   * @returns undefined when the engine does not list it any more
   */
  async find(id: string, options: AbortOptions): Promise<ImageTransfer | undefined> {
    const nowMs = this.#engine.clock.now()
    if (this.#list === undefined || nowMs - this.#readAtMs >= POLL_MS) {
      this.#readAtMs = nowMs
      const list = listTransfers(this.#engine, options)
      this.#list = list
      list.catch(() => {
        if (this.#list === list) this.#list = undefined
      })
    }
    return (await this.#list).find(transfer => transfer.id === id)
  }
}
