/** What somebody, or bad luck, does to an installation at a moment: the steps of a plan of faults. @module */
import type { CertificateKind } from '../engine/image-hosts.ts'
import { MOMENT_NAMES } from '../model/moments.ts'
import type { Moment, MomentName } from '../model/moments.ts'
import { BLANK_ID } from '../model/world.ts'
import type { Simulator } from '../simulator.ts'
import { chosen, requireMembers, wrong } from './plan-reader.ts'
import type { Entry, Members } from './plan-reader.ts'

/** When, to whom, and what. Machines, hosts and storage domains go by their names, disks by their number in the machine. */
export interface FaultStep {
  /** @default after some time: `afterMs` */
  readonly at?: MomentName
  readonly afterMs?: number
  /** Of an `engine-request`: method and path, `*` for anything. @default any */
  readonly request?: string
  /** How often, at moments. @default 1 */
  readonly times?: number
  readonly do: string
  readonly vm?: string
  /** From 1. */
  readonly disk?: number
  readonly host?: string
  readonly domain?: string
  readonly status?: string
  readonly kind?: string
  readonly sizeBytes?: number
  readonly leftBytes?: number
  readonly name?: string
  readonly mac?: string
}

export const STEP_MEMBERS: Members = {
  at: 'string',
  afterMs: 'number',
  request: 'string',
  times: 'number',
  do: 'string',
  vm: 'string',
  disk: 'number',
  host: 'string',
  domain: 'string',
  status: 'string',
  kind: 'string',
  sizeBytes: 'number',
  leftBytes: 'number',
  name: 'string',
  mac: 'string',
}

/** Ids of what a step names; empty where it names none. */
interface Target {
  readonly vm: string
  readonly disk: string
  readonly host: string
  readonly domain: string
}

interface Action {
  readonly needs: readonly (keyof FaultStep)[]
  readonly run: (simulator: Simulator, target: Target, step: FaultStep) => unknown
}

const CERTIFICATES: Readonly<Record<string, CertificateKind>> = {
  right: 'right',
  expired: 'expired',
  foreign: 'foreign',
}

const onVm = (run: (simulator: Simulator, vmId: string) => unknown): Action => ({
  needs: ['vm'],
  run: (simulator, { vm }) => run(simulator, vm),
})
const onHost = (run: (simulator: Simulator, hostId: string) => unknown): Action => ({
  needs: ['host'],
  run: (simulator, { host }) => run(simulator, host),
})
const onDisk = (run: (simulator: Simulator, diskId: string, vmId: string) => unknown): Action => ({
  needs: ['vm', 'disk'],
  run: (simulator, { vm, disk }) => run(simulator, disk, vm),
})

const ACTIONS: Readonly<Record<string, Action>> = {
  'crash-vm': onVm((simulator, vm) => simulator.crashVm(vm)),
  'start-vm': onVm(({ faults }, vm) => faults.startVm(vm)),
  'stop-vm': onVm((simulator, vm) => simulator.shutDownGuest(vm)),
  'migrate-vm': onVm(({ faults }, vm) => faults.migrateVm(vm)),
  'take-snapshot': onVm(({ faults }, vm) => faults.takeSnapshot(vm)),
  'foreign-backup': onVm(({ faults }, vm) => faults.beginForeignBackup(vm)),
  'delete-checkpoint': onVm(({ faults }, vm) => faults.deleteCheckpoint(vm)),
  'wipe-checkpoints': onVm(({ faults }, vm) => faults.wipeCheckpoints(vm)),
  'fail-merge': onVm(({ faults }, vm) => faults.failMerges(vm)),
  'crash-host': onHost(async (simulator, host) => await simulator.crashHost(host)),
  'recover-host': onHost((simulator, host) => simulator.recoverHost(host)),
  'hide-host': onHost(async ({ faults }, host) => await faults.hideHost(host)),
  'show-host': onHost(async ({ faults }, host) => await faults.showHost(host)),
  'cut-host': onHost(async ({ faults }, host) => await faults.cutHost(host, 'refused')),
  'join-host': onHost(async ({ faults }, host) => await faults.cutHost(host, 'reachable')),
  'restart-imageio': onHost(async ({ faults }, host) => await faults.restartImageio(host)),
  'imageio-certificate': {
    needs: ['host', 'kind'],
    run: async ({ faults }, { host }, { kind }) =>
      await faults.setImageioCertificate(host, chosen('kind', kind, CERTIFICATES)),
  },
  'back-up-in-full': onDisk(({ faults }, disk) => faults.backUpInFull(disk)),
  'remove-disk': onDisk(async ({ faults }, disk) => await faults.removeDisk(disk)),
  'detach-disk': onDisk(({ faults }, disk, vm) => faults.detachDisk(vm, disk)),
  'share-disk': onDisk(({ faults }, disk) => faults.shareDisk(disk)),
  'resize-disk': {
    needs: ['vm', 'disk', 'sizeBytes'],
    run: async ({ faults }, { disk }, { sizeBytes = 0 }) => await faults.resizeDisk(disk, sizeBytes),
  },
  'domain-status': {
    needs: ['domain', 'status'],
    run: ({ faults }, { domain }, { status = '' }) => faults.setStorageDomainStatus(domain, status),
  },
  'fill-domain': {
    needs: ['domain'],
    run: ({ faults }, { domain }, { leftBytes }) => faults.fillStorageDomain(domain, leftBytes),
  },
  'require-quota': { needs: ['domain'], run: ({ faults }, { domain }) => faults.requireQuota(domain) },
  'fail-verification': { needs: [], run: ({ faults }) => faults.failVerification() },
  'lose-backups': { needs: [], run: async ({ faults }) => await faults.loseBackups() },
  'end-sessions': { needs: [], run: simulator => simulator.endSessions() },
  'take-name': {
    needs: ['name'],
    run: async ({ inventory, site }, _, { name = '' }) => await inventory.addVm({ name, clusterId: site.clusterId }),
  },
  'take-mac': {
    needs: ['mac'],
    run: async ({ inventory, site }, _, { mac = '' }) =>
      await inventory.addVm({
        name: `thief of ${mac}`,
        clusterId: site.clusterId,
        nics: [{ name: 'nic1', mac: { address: mac } }],
      }),
  },
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` that names the entry and what is wrong with it */
export const checkStep = (place: string, entry: Entry): void => {
  const { at, afterMs, kind } = entry
  if ((at === undefined) === (afterMs === undefined)) throw wrong(place, 'needs either at or afterMs')
  if (at !== undefined && !MOMENT_NAMES.some(name => name === at))
    throw wrong(`${place}.at`, `is none of ${MOMENT_NAMES.join(', ')}`)
  const { needs } = chosen(`${place}.do`, entry['do'], ACTIONS)
  requireMembers(place, entry, needs)
  if (needs.includes('kind')) chosen(`${place}.kind`, kind, CERTIFICATES)
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` when what a step names is not there */
export const armStep = (simulator: Simulator, place: string, step: FaultStep): void => {
  const { needs, run } = chosen(`${place}.do`, step.do, ACTIONS)
  const target = targetOf(simulator, place, step)
  const strike = async (): Promise<void> => void (await run(simulator, target, step))
  if (step.at === undefined) return void simulator.clock.schedule(step.afterMs ?? 0, strike)
  let left = step.times ?? 1
  const pattern = requestPattern(step.request ?? '*')
  const isMeant = ({ vmId, request }: Moment): boolean =>
    step.at === 'engine-request' ? pattern.test(request ?? '') : !needs.includes('vm') || vmId === target.vm
  simulator.moments.on(step.at, async moment => {
    if (left > 0 && isMeant(moment)) {
      left--
      await strike()
    }
  })
}

const requestPattern = (request: string): RegExp =>
  new RegExp(
    `^${request
      .split('*')
      .map(part => part.replaceAll(/[.+?^${}()|[\]\\]/g, '\\$&'))
      .join('.*')}$`,
  )

const targetOf = (simulator: Simulator, place: string, step: FaultStep): Target => {
  const { site } = simulator
  const vm = step.vm === undefined ? undefined : simulator.vms.find(one => one.config['name'] === step.vm)
  if (step.vm !== undefined && vm === undefined)
    throw wrong(
      `${place}.vm`,
      `${step.vm} is not known: ${simulator.vms.map(one => String(one.config['name'])).join(', ')}`,
    )
  const disks = [...(vm?.attachments.keys() ?? [])]
  const disk = step.disk === undefined ? BLANK_ID : disks[step.disk - 1]
  if (disk === undefined) throw wrong(`${place}.disk`, `${step.disk} is not known: it has ${disks.length}`)
  const domain = site.storageDomains.find(one => one.name === step.domain)
  if (step.domain !== undefined && domain === undefined)
    throw wrong(
      `${place}.domain`,
      `${step.domain} is not known: ${site.storageDomains.map(one => one.name).join(', ')}`,
    )
  const host = step.host === undefined ? '' : hostIdOf(simulator, `${place}.host`, step.host)
  return { vm: vm?.id ?? '', disk, host, domain: domain?.id ?? '' }
}

/** @throws GranaryError `GRANARY_INVALID_ARGUMENT` that lists the hosts there are */
export const hostIdOf = ({ site }: Simulator, place: string, name: string): string => {
  const id = site.hostIds[site.hostNames.indexOf(name)]
  if (id === undefined) throw wrong(place, `${name} is not known: ${site.hostNames.join(', ')}`)
  return id
}
