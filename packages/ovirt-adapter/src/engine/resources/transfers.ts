/** Image transfers: the ticket that opens one disk at imageio. @module */
import type { CallOptions, CreateOptions, Engine } from '../engine.ts'
import { booleanOf, integerOf, itemsOf, neededText, objectOf, referenceOf, textOf } from '../json.ts'
import type { Json } from '../json.ts'

export interface ImageTransfer {
  readonly id: string
  readonly phase: string
  readonly direction: 'download' | 'upload'
  readonly isActive: boolean
  /** The engine says `image` where one would expect `disk`. */
  readonly diskId: string | undefined
  readonly hostId: string | undefined
  /** Only while there is a ticket. */
  readonly transferUrl: string | undefined
  readonly proxyUrl: string | undefined
  readonly transferredBytes: number | undefined
}

export const decodeTransfer = (json: Json): ImageTransfer => {
  const image = objectOf(json, 'image')
  return {
    id: neededText(json, 'id'),
    phase: textOf(json, 'phase') ?? 'unknown',
    direction: textOf(json, 'direction') === 'download' ? 'download' : 'upload',
    isActive: booleanOf(json, 'active') ?? false,
    diskId: (image === undefined ? undefined : textOf(image, 'id')) ?? referenceOf(json, 'disk'),
    hostId: referenceOf(json, 'host'),
    transferUrl: textOf(json, 'transfer_url'),
    proxyUrl: textOf(json, 'proxy_url'),
    transferredBytes: integerOf(json, 'transferred'),
  }
}

/** Nothing of it is open any more; a cancelled one is on its way there. */
export const isFinished = ({ phase }: ImageTransfer): boolean => phase.startsWith('finished_')

export const listTransfers = async (engine: Engine, options: CallOptions = {}): Promise<readonly ImageTransfer[]> =>
  itemsOf(await engine.get('/imagetransfers', options), 'image_transfer').map(decodeTransfer)

export const findTransfer = async (
  engine: Engine,
  id: string,
  options: CallOptions = {},
): Promise<ImageTransfer | undefined> => {
  const json = await engine.find(`/imagetransfers/${id}`, options)
  return json === undefined ? undefined : decodeTransfer(json)
}

export const addTransfer = async (engine: Engine, body: object, options: CreateOptions = {}): Promise<ImageTransfer> =>
  decodeTransfer(await engine.create('/imagetransfers', body, options))

/** `finalize` and `cancel` of a transfer that is not there are answered with 200: look afterwards. */
export const actOnTransfer = async (
  engine: Engine,
  id: string,
  action: 'finalize' | 'cancel' | 'pause' | 'resume' | 'extend',
  options: CallOptions = {},
): Promise<void> => {
  await engine.act(`/imagetransfers/${id}/${action}`, {}, options)
}
