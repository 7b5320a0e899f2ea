/** Virtual machines. @module */
import type { AbortOptions } from '@granary/core'
import type { CallOptions, CreateOptions, Engine, Query } from '../engine.ts'
import { booleanOf, hasLink, integerOf, itemsOf, neededText, objectOf, referenceOf, textOf } from '../json.ts'
import type { Json } from '../json.ts'

/** A cluster level, such as 4.7. */
export interface Level {
  readonly major: number
  readonly minor: number
}

export interface Vm {
  readonly id: string
  readonly name: string
  readonly description: string
  /** `up`, `down`, `migrating`, ...: lower case, as the engine says it. */
  readonly status: string
  /** Where it runs. */
  readonly hostId: string | undefined
  readonly clusterId: string | undefined
  readonly templateId: string | undefined
  readonly origin: string
  readonly hasIllegalImages: boolean
  /** Overrides the cluster's level. */
  readonly customLevel: Level | undefined
  /** Whether this engine offers the backup interface. */
  readonly offersBackups: boolean
  readonly offersCheckpoints: boolean
  /** As the engine sends it. */
  readonly json: Json
}

export const decodeVm = (json: Json): Vm => ({
  id: neededText(json, 'id'),
  name: neededText(json, 'name'),
  description: textOf(json, 'description') ?? '',
  status: textOf(json, 'status') ?? 'unknown',
  hostId: referenceOf(json, 'host'),
  clusterId: referenceOf(json, 'cluster'),
  templateId: referenceOf(json, 'template'),
  origin: textOf(json, 'origin') ?? '',
  hasIllegalImages: booleanOf(json, 'has_illegal_images') ?? false,
  customLevel: levelOf(json, 'custom_compatibility_version'),
  offersBackups: hasLink(json, 'backups'),
  offersCheckpoints: hasLink(json, 'checkpoints'),
  json,
})

export const levelOf = (json: Json, name: string): Level | undefined => {
  const version = objectOf(json, name)
  if (version === undefined) return undefined
  return { major: integerOf(version, 'major') ?? 0, minor: integerOf(version, 'minor') ?? 0 }
}

/** -1, 0 or 1, as `sort` wants it. */
export const compareLevels = (one: Level, other: Level): number =>
  Math.sign(one.major - other.major || one.minor - other.minor)

/** @param search in the engine's language: `name=web* and status=up`; all machines without it */
export const listVms = async (
  engine: Engine,
  { search, ...options }: AbortOptions & { readonly search?: string } = {},
): Promise<readonly Vm[]> => itemsOf(await engine.get('/vms', { ...options, query: { search } }), 'vm').map(decodeVm)

export const findVm = async (engine: Engine, id: string, options: CallOptions = {}): Promise<Vm | undefined> => {
  const json = await engine.find(`/vms/${id}`, options)
  return json === undefined ? undefined : decodeVm(json)
}

/** @throws GranaryError `GRANARY_NOT_FOUND` */
export const readVm = async (engine: Engine, id: string, options: CallOptions = {}): Promise<Vm> =>
  decodeVm(await engine.get(`/vms/${id}`, options))

export const addVm = async (engine: Engine, body: object, options: CreateOptions = {}): Promise<Vm> =>
  decodeVm(await engine.create('/vms', body, options))

export const updateVm = async (engine: Engine, id: string, body: object, options: CallOptions = {}): Promise<Vm> =>
  decodeVm(await engine.update(`/vms/${id}`, body, options))

/** `keepDisks` detaches them first. @returns false when it wasn't there */
export const removeVm = async (
  engine: Engine,
  id: string,
  { keepDisks, ...options }: CallOptions & { readonly keepDisks: boolean },
): Promise<boolean> => {
  const query: Query = keepDisks ? { detach_only: true } : {}
  return await engine.remove(`/vms/${id}`, { ...options, query })
}
