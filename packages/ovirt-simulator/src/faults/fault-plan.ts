/**
 * Faults from a file, for a simulator that runs as a program.
 *
 * @see docs/ovirt-simulator.md, section "Faults"
 * @module
 */
import { GranaryError } from '@granary/core'
import type { FaultEffect } from '../imageio/faults.ts'
import type { Simulator } from '../simulator.ts'
import type { HttpFault } from './http-faults.ts'

interface ImageioEntry {
  /** Name of a host. @default all */
  readonly host?: string
  readonly method?: string
  readonly resource?: 'image' | 'extents' | 'checksum'
  readonly times?: number
  readonly after?: number
  readonly effect: FaultEffect
}

interface AwayEntry {
  /** How long after the start, ms. */
  readonly afterMs: number
  readonly forMs: number
  readonly how: 'network' | 'down'
}

export interface FaultPlan {
  readonly http: readonly HttpFault[]
  readonly imageio: readonly ImageioEntry[]
  readonly engineAway: readonly AwayEntry[]
  /** Names of hosts whose imageio clients cannot reach. */
  readonly hiddenHosts: readonly string[]
}

/** Which members an entry of each list may have, and of which type. */
const MEMBERS = {
  http: {
    method: 'string',
    path: 'string',
    after: 'number',
    times: 'number',
    forMs: 'number',
    kind: 'string',
    status: 'number',
    detail: 'string',
    ms: 'number',
  },
  imageio: { host: 'string', method: 'string', resource: 'string', times: 'number', after: 'number', effect: 'object' },
  engineAway: { afterMs: 'number', forMs: 'number', how: 'string' },
} as const satisfies Record<string, Readonly<Record<string, string>>>

/** What each kind of fault needs besides its kind. */
const HTTP_KINDS: Readonly<Record<string, readonly string[]>> = {
  drop: [],
  'lose-answer': [],
  status: ['status'],
  refuse: ['status', 'detail'],
  delay: ['ms'],
}
const EFFECTS: Readonly<Record<string, readonly string[]>> = {
  status: ['status'],
  drop: ['afterBytes'],
  truncate: ['afterBytes'],
  delay: ['ms'],
  expire: [],
  'lose-answer': [],
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` that names the entry and what is wrong with it */
export const parseFaultPlan = (text: string): FaultPlan => {
  const plan = parseObject(text)
  for (const name of Object.keys(plan))
    if (!(name in MEMBERS) && name !== 'hiddenHosts')
      throw wrong(name, 'is not known: http, imageio, engineAway, hiddenHosts')
  const http = listIn(plan, 'http')
  const imageio = listIn(plan, 'imageio')
  const engineAway = listIn(plan, 'engineAway')
  for (const [n, entry] of http.entries()) checkKind(`http[${n}]`, entry, HTTP_KINDS)
  for (const [n, entry] of imageio.entries())
    checkKind(`imageio[${n}].effect`, objectOf(`imageio[${n}].effect`, entry['effect']), EFFECTS)
  for (const [n, entry] of engineAway.entries()) {
    if (entry['how'] !== 'network' && entry['how'] !== 'down')
      throw wrong(`engineAway[${n}].how`, 'is not network or down')
    checkNumbers(`engineAway[${n}]`, entry, ['afterMs', 'forMs'])
  }
  const hiddenHosts = plan['hiddenHosts'] ?? []
  if (!Array.isArray(hiddenHosts) || hiddenHosts.some(host => typeof host !== 'string'))
    throw wrong('hiddenHosts', 'is no list of names')
  return { http, imageio, engineAway, hiddenHosts } as unknown as FaultPlan
}

type Entry = Readonly<Record<string, unknown>>

const wrong = (place: string, what: string): GranaryError =>
  new GranaryError('GRANARY_INVALID_ARGUMENT', `faults: ${place} ${what}`, { detail: { place } })

const parseObject = (text: string): Entry => {
  try {
    return objectOf('the file', JSON.parse(text))
  } catch (error) {
    throw error instanceof SyntaxError ? wrong('the file', `is no JSON: ${error.message}`) : error
  }
}

const objectOf = (place: string, value: unknown): Entry => {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong(place, 'is no object')
  return value as Entry
}

const listIn = (plan: Entry, name: keyof typeof MEMBERS): Entry[] => {
  const list = plan[name] ?? []
  if (!Array.isArray(list)) throw wrong(name, 'is no list')
  const members: Readonly<Record<string, string>> = MEMBERS[name]
  return list.map((value, n) => {
    const entry = objectOf(`${name}[${n}]`, value)
    for (const [member, given] of Object.entries(entry)) {
      if (!(member in members))
        throw wrong(`${name}[${n}].${member}`, `is not known: ${Object.keys(members).join(', ')}`)
      if (typeof given !== members[member]) throw wrong(`${name}[${n}].${member}`, `is no ${members[member]}`)
    }
    return entry
  })
}

const checkKind = (place: string, entry: Entry, kinds: Readonly<Record<string, readonly string[]>>): void => {
  const needed = kinds[String(entry['kind'])]
  if (needed === undefined) throw wrong(`${place}.kind`, `is none of ${Object.keys(kinds).join(', ')}`)
  checkNumbers(
    place,
    entry,
    needed.filter(name => name !== 'detail'),
  )
  if (needed.includes('detail') && typeof entry['detail'] !== 'string') throw wrong(`${place}.detail`, 'is missing')
}

const checkNumbers = (place: string, entry: Entry, names: readonly string[]): void => {
  for (const name of names) {
    const value = entry[name]
    if (typeof value !== 'number' || !(value >= 0)) throw wrong(`${place}.${name}`, 'is no number of 0 or more')
  }
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when a host is not known */
export const applyFaultPlan = async (simulator: Simulator, plan: FaultPlan): Promise<void> => {
  const { faults, clock } = simulator
  for (const fault of plan.http) faults.http.add(fault)
  for (const { host, method, resource, times, after, effect } of plan.imageio)
    for (const hostId of host === undefined ? simulator.site.hostIds : [hostIdOf(simulator, host)])
      await faults.imageio(hostId, {
        effect,
        when: request =>
          (method ?? request.method) === request.method && (resource ?? request.resource) === request.resource,
        ...(times !== undefined && { times }),
        ...(after !== undefined && { after }),
      })
  for (const host of plan.hiddenHosts) await faults.hideHost(hostIdOf(simulator, host))
  for (const { afterMs, forMs, how } of plan.engineAway) clock.schedule(afterMs, () => faults.engineAway(forMs, how))
}

const hostIdOf = (simulator: Simulator, name: string): string => {
  const id = simulator.site.hostIds[simulator.site.hostNames.indexOf(name)]
  if (id === undefined) throw wrong(`host ${name}`, `is not known: ${simulator.site.hostNames.join(', ')}`)
  return id
}
