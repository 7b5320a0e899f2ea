/** Networks, vNIC profiles and the NICs of machines. @module */
import type { AbortOptions } from '@granary/core'
import type { CallOptions, CreateOptions, Engine } from '../engine.ts'
import { booleanOf, itemsOf, neededText, objectOf, referenceOf, textOf } from '../json.ts'
import type { Json } from '../json.ts'

export interface Nic {
  readonly id: string
  readonly name: string
  readonly interface: string
  readonly mac: string | undefined
  readonly isLinked: boolean
  readonly isPlugged: boolean
  /** Undefined: no network. */
  readonly vnicProfileId: string | undefined
  readonly json: Json
}

export interface VnicProfile {
  readonly id: string
  readonly name: string
  readonly networkId: string | undefined
}

export interface Network {
  readonly id: string
  readonly name: string
  readonly dataCenterId: string | undefined
}

const decodeNic = (json: Json): Nic => {
  const mac = objectOf(json, 'mac')
  return {
    id: neededText(json, 'id'),
    name: textOf(json, 'name') ?? neededText(json, 'id'),
    interface: textOf(json, 'interface') ?? 'virtio',
    mac: mac === undefined ? undefined : textOf(mac, 'address'),
    isLinked: booleanOf(json, 'linked') ?? true,
    isPlugged: booleanOf(json, 'plugged') ?? true,
    vnicProfileId: referenceOf(json, 'vnic_profile'),
    json,
  }
}

export const listNics = async (engine: Engine, vmId: string, options: CallOptions = {}): Promise<readonly Nic[]> =>
  itemsOf(await engine.find(`/vms/${vmId}/nics`, options), 'nic').map(decodeNic)

export const addNic = async (engine: Engine, vmId: string, body: object, options: CreateOptions = {}): Promise<Nic> =>
  decodeNic(await engine.create(`/vms/${vmId}/nics`, body, options))

export const listVnicProfiles = async (engine: Engine, options: AbortOptions = {}): Promise<readonly VnicProfile[]> =>
  itemsOf(await engine.get('/vnicprofiles', options), 'vnic_profile').map(json => ({
    id: neededText(json, 'id'),
    name: textOf(json, 'name') ?? '',
    networkId: referenceOf(json, 'network'),
  }))

export const listNetworks = async (engine: Engine, options: AbortOptions = {}): Promise<readonly Network[]> =>
  itemsOf(await engine.get('/networks', options), 'network').map(json => ({
    id: neededText(json, 'id'),
    name: textOf(json, 'name') ?? '',
    dataCenterId: referenceOf(json, 'data_center'),
  }))
