/** Looks attributes up in the table of types. @module */
import { ENUMS, TYPES } from './types.ts'

/** A value of the model as the simulator keeps it: real booleans, numbers and lists. Codecs make strings of them. */
export type Value = string | number | boolean | Attributes | readonly Value[]
export interface Attributes {
  readonly [name: string]: Value | undefined
}

export type TypeName = keyof typeof TYPES

export interface Attribute {
  readonly name: string
  /** bool, int, num, date, str, a type of `TYPES`, or an enumeration. */
  readonly type: string
  readonly isList: boolean
  readonly isLink: boolean
}

export const isTypeName = (name: string): name is TypeName => Object.hasOwn(TYPES, name)

/** The values of an enumeration; undefined when `type` is none. */
export const enumValues = (type: string): readonly string[] | undefined =>
  (ENUMS as Readonly<Record<string, string>>)[type]?.split(' ')

const cache = new Map<TypeName, ReadonlyMap<string, Attribute>>()

/** The attributes of a type and its bases, by name. */
export const attributesOf = (type: TypeName): ReadonlyMap<string, Attribute> => {
  const known = cache.get(type)
  if (known !== undefined) return known
  const [base = '', rows = ''] = TYPES[type].split('|').map(part => part.trim())
  const own = rows
    .split(' ')
    .filter(row => row !== '')
    .map(parseRow)
  const attributes = new Map([
    ...(isTypeName(base) ? attributesOf(base) : []),
    ...own.map(attribute => [attribute.name, attribute] as const),
  ])
  cache.set(type, attributes)
  return attributes
}

const parseRow = (row: string): Attribute => {
  const [, name = '', type = '', list, link] = /^(\w+):(\w+)(\[\])?(>)?$/.exec(row) ?? []
  return { name, type, isList: list !== undefined, isLink: link !== undefined }
}

/** `DiskAttachment` as `disk_attachment`. */
export const snakeCase = (type: string): string => type.replaceAll(/(?<!^)[A-Z]/g, '_$&').toLowerCase()

/** What an element of a wrapped list is called: after its type, or after the list where the type is a plain one. */
export const elementName = ({ name, type }: Attribute): string =>
  isTypeName(type) && type !== 'Identified' && type !== 'StatisticValue' ? snakeCase(type) : name.replace(/s$/, '')

/** Where the entities of a type are; types that live inside others are not here. */
export const TOP_LEVEL: Readonly<Record<string, string>> = {
  AffinityLabel: 'affinitylabels',
  Cluster: 'clusters',
  CpuProfile: 'cpuprofiles',
  DataCenter: 'datacenters',
  Disk: 'disks',
  DiskProfile: 'diskprofiles',
  Event: 'events',
  Host: 'hosts',
  ImageTransfer: 'imagetransfers',
  Job: 'jobs',
  MacPool: 'macpools',
  Network: 'networks',
  Role: 'roles',
  StorageDomain: 'storagedomains',
  Tag: 'tags',
  Template: 'templates',
  User: 'users',
  Vm: 'vms',
  VnicProfile: 'vnicprofiles',
}

export const API_PATH = '/ovirt-engine/api'
