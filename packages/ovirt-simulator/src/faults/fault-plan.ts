/**
 * Faults from a file, for a simulator that runs as a program.
 *
 * @see docs/ovirt-simulator.md, section "Faults"
 * @module
 */
import type { FaultEffect } from '../imageio/faults.ts'
import type { Simulator, SimulatorOptions } from '../simulator.ts'
import { STEP_MEMBERS, armStep, checkStep, hostIdOf } from './fault-steps.ts'
import type { FaultStep } from './fault-steps.ts'
import type { HttpFault } from './http-faults.ts'
import { checkMembers, chosen, entriesOf, objectOf, parseObject, requireMembers, wrong } from './plan-reader.ts'
import type { Entry, Members } from './plan-reader.ts'

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

/** An account that may not do everything. */
interface AccountEntry {
  /** `user@profile` */
  readonly name: string
  readonly password: string
  /** `PERMIT` everywhere, or `PERMIT@NAME` on a machine or storage domain. */
  readonly permits: readonly string[]
}

export interface FaultPlan {
  readonly http: readonly HttpFault[]
  readonly imageio: readonly ImageioEntry[]
  readonly engineAway: readonly AwayEntry[]
  /** Names of hosts whose imageio clients cannot reach. */
  readonly hiddenHosts: readonly string[]
  readonly accounts: readonly AccountEntry[]
  readonly steps: readonly FaultStep[]
  /** Of the engine's web server. @default 'right' */
  readonly engineCertificate: 'right' | 'expired' | 'custom'
}

const LISTS = {
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
  accounts: { name: 'string', password: 'string', permits: 'string[]' },
  steps: STEP_MEMBERS,
} as const satisfies Readonly<Record<string, Members>>

const PLAN: Members = {
  ...Object.fromEntries(Object.keys(LISTS).map(name => [name, 'object'] as const)),
  hiddenHosts: 'string[]',
  engineCertificate: 'string',
}

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
const EFFECT_MEMBERS: Members = {
  kind: 'string',
  status: 'number',
  message: 'string',
  afterBytes: 'number',
  ms: 'number',
}
const RESOURCES = { image: true, extents: true, checksum: true }
const AWAY = { network: true, down: true }
const CERTIFICATES = { right: true, expired: true, custom: true }

/** What makes sense of the entries of each list. */
const CHECKS: Readonly<Record<keyof typeof LISTS, (place: string, entry: Entry) => void>> = {
  http: (place, entry) => requireMembers(place, entry, chosen(`${place}.kind`, entry['kind'], HTTP_KINDS)),
  imageio(place, entry) {
    if (entry['resource'] !== undefined) chosen(`${place}.resource`, entry['resource'], RESOURCES)
    const effect = objectOf(`${place}.effect`, entry['effect'])
    checkMembers(`${place}.effect`, effect, EFFECT_MEMBERS)
    requireMembers(`${place}.effect`, effect, chosen(`${place}.effect.kind`, effect['kind'], EFFECTS))
  },
  engineAway(place, entry) {
    chosen(`${place}.how`, entry['how'], AWAY)
    requireMembers(place, entry, ['afterMs', 'forMs'])
  },
  accounts: (place, entry) => requireMembers(place, entry, ['name', 'password', 'permits']),
  steps: checkStep,
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` that names the entry and what is wrong with it */
export const parseFaultPlan = (text: string): FaultPlan => {
  const plan = parseObject(text)
  checkMembers('', plan, PLAN)
  const lists = Object.entries(LISTS).map(([name, members]) => {
    const entries = entriesOf(name, plan[name] ?? [], members)
    for (const [n, entry] of entries.entries()) CHECKS[name as keyof typeof LISTS](`${name}[${n}]`, entry)
    return [name, entries] as const
  })
  const { hiddenHosts = [], engineCertificate = 'right' } = plan
  chosen('engineCertificate', engineCertificate, CERTIFICATES)
  return { ...Object.fromEntries(lists), hiddenHosts, engineCertificate } as unknown as FaultPlan
}

/** What of a plan must be known before the simulator is made. */
export const simulatorOptionsOf = ({
  engineCertificate,
}: FaultPlan): Pick<SimulatorOptions, 'certificateEndsMs' | 'hasCustomCertificate'> => ({
  ...(engineCertificate === 'expired' && { certificateEndsMs: Date.now() - 1000 }),
  hasCustomCertificate: engineCertificate === 'custom',
})

/**
 * Arms all that a plan has, but for the engine's certificate: that comes by `simulatorOptionsOf`.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` when what it names is not there
 */
export const applyFaultPlan = async (simulator: Simulator, plan: FaultPlan): Promise<void> => {
  const { faults, clock, inventory } = simulator
  for (const fault of plan.http) faults.http.add(fault)
  for (const [n, { host, method, resource, times, after, effect }] of plan.imageio.entries())
    for (const hostId of host === undefined
      ? simulator.site.hostIds
      : [hostIdOf(simulator, `imageio[${n}].host`, host)])
      await faults.imageio(hostId, {
        effect,
        when: request =>
          (method ?? request.method) === request.method && (resource ?? request.resource) === request.resource,
        ...(times !== undefined && { times }),
        ...(after !== undefined && { after }),
      })
  for (const host of plan.hiddenHosts) await faults.hideHost(hostIdOf(simulator, 'hiddenHosts', host))
  for (const { afterMs, forMs, how } of plan.engineAway) clock.schedule(afterMs, () => faults.engineAway(forMs, how))
  for (const [n, { name, password, permits }] of plan.accounts.entries())
    inventory.addAccount(
      name,
      password,
      permits.map(permit => permitOf(simulator, `accounts[${n}].permits`, permit)),
    )
  for (const [n, step] of plan.steps.entries()) armStep(simulator, `steps[${n}]`, step)
}

/** `PERMIT@NAME` as `PERMIT@ID`. */
const permitOf = ({ vms, site }: Simulator, place: string, permit: string): string => {
  const [, name, object] = /^([^@]*)@(.*)$/.exec(permit) ?? []
  if (object === undefined) return permit
  const known = new Map([
    ...site.storageDomains.map(domain => [domain.name, domain.id] as const),
    ...vms.map(vm => [String(vm.config['name']), vm.id] as const),
  ])
  const id = known.get(object)
  if (id === undefined) throw wrong(place, `${object} is not known: ${[...known.keys()].join(', ')}`)
  return `${name}@${id}`
}
