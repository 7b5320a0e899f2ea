/** The layers of one disk, the base first: made, merged, made larger, removed. Callers hold the disk's lock. @module */
import { GranaryError } from '@granary/core'
import { Layer } from './layer.ts'
import type { LayerOptions } from './layer.ts'
import { mergeLayers } from './layer-merge.ts'
import type { StorageSpace } from './storage-space.ts'

/** What is known of a layer. */
export interface VolumeInfo {
  readonly volumeId: string
  readonly format: 'raw' | 'cow'
  readonly sizeBytes: number
  readonly allocatedBytes: number
}

export class LayerStack {
  readonly #folder: string
  readonly #layers: Layer[]

  private constructor(folder: string, base: Layer) {
    this.#folder = folder
    this.#layers = [base]
  }

  /** @throws GranaryError `GRANARY_NO_SPACE` */
  static async create(options: LayerOptions): Promise<LayerStack> {
    return new LayerStack(options.folder, await Layer.create(options))
  }

  get layers(): readonly Layer[] {
    return this.#layers
  }

  get top(): Layer {
    return this.#layers[this.#layers.length - 1] as Layer
  }

  get infos(): readonly VolumeInfo[] {
    return this.#layers.map(({ volumeId, format, sizeBytes, allocatedBytes }) => ({
      volumeId,
      format,
      sizeBytes,
      allocatedBytes,
    }))
  }

  /** @throws GranaryError `GRANARY_NOT_FOUND` */
  find(volumeId: string): Layer {
    return this.#layers[this.#indexOf(volumeId)] as Layer
  }

  /** A layer and all below it, as they are now. @throws GranaryError `GRANARY_NOT_FOUND` */
  upTo(volumeId: string): readonly Layer[] {
    return this.#layers.slice(0, this.#indexOf(volumeId) + 1)
  }

  /** Puts an empty layer on top. @throws GranaryError `GRANARY_NO_SPACE` */
  async add(volumeId: string, sizeBytes: number): Promise<void> {
    const { space } = this.top
    this.#layers.push(await this.create({ volumeId, sizeBytes, space }))
  }

  /** A layer in the folder of the disk that is none of the stack: a scratch volume. @throws GranaryError `GRANARY_NO_SPACE` */
  async create(options: {
    readonly volumeId: string
    readonly sizeBytes: number
    readonly space: StorageSpace
    readonly initialBytes?: number | undefined
  }): Promise<Layer> {
    return await Layer.create({ ...options, folder: this.#folder, format: 'cow' })
  }

  /** Merges the layer that lies on `volumeId` into it. @throws GranaryError `GRANARY_NOT_FOUND`; `GRANARY_NO_SPACE`, both stay then */
  async merge(volumeId: string): Promise<void> {
    const at = this.#indexOf(volumeId)
    const [base, over] = [this.#layers[at], this.#layers[at + 1]]
    if (base === undefined || over === undefined) throw notFound(`no layer lies on volume ${volumeId}`, volumeId)
    await mergeLayers(base, over, this.#layers.slice(0, at))
    this.#layers.splice(at + 1, 1)
    await over.remove()
  }

  /** Removes all files and gives the space back. */
  async remove(): Promise<void> {
    for (const layer of this.#layers.splice(0)) await layer.remove()
  }

  async close(): Promise<void> {
    for (const layer of this.#layers.splice(0)) await layer.close()
  }

  #indexOf(volumeId: string): number {
    const at = this.#layers.findIndex(layer => layer.volumeId === volumeId)
    if (at < 0) throw notFound(`no volume ${volumeId}`, volumeId)
    return at
  }
}

const notFound = (message: string, volumeId: string): GranaryError =>
  new GranaryError('GRANARY_NOT_FOUND', message, { detail: { volumeId } })
