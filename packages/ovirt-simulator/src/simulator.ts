/** Puts an installation together: engine, imageio, storage, and what tests and demos hold on to. @module */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { GranaryError, memoryDisk } from '@granary/core'
import type { Bytes, DiskReader, Range } from '@granary/core'
import type { SimulatorClock } from './clock/clock.ts'
import { createVirtualClock } from './clock/virtual-clock.ts'
import { ImageHosts } from './engine/image-hosts.ts'
import { Transfers } from './engine/transfers.ts'
import { crashHost, crashVm, setHostStatus } from './engine/crash.ts'
import { powerOff } from './engine/vm-power.ts'
import { closeEngine } from './engine/ticker.ts'
import { HttpFaults } from './faults/http-faults.ts'
import { simulatorFaults } from './faults/simulator-faults.ts'
import type { SimulatorFaults } from './faults/simulator-faults.ts'
import { openGuest } from './guest.ts'
import type { Guest } from './guest.ts'
import { startServer } from './http/server.ts'
import type { SeenRequest } from './http/server.ts'
import { SignIn } from './http/sign-in.ts'
import { addDefaultSite } from './default-site.ts'
import type { DefaultSite } from './default-site.ts'
import { Inventory } from './inventory.ts'
import { knowledgeOf } from './model/newer.ts'
import type { Moments } from './model/moments.ts'
import type { Disk, Vm } from './model/state.ts'
import { createWorld } from './model/world.ts'
import type { World } from './model/world.ts'
import { createAuthority } from './pki/authority.ts'
import { profileOf } from './profiles.ts'
import type { Profile } from './profiles.ts'
import { allRoutes } from './services/index.ts'
import { observe } from './state.ts'
import { differencesFrom } from './volumes/oracle.ts'
import type { OracleRecord } from './volumes/oracle.ts'
import type { SimulatorState } from './state.ts'

export interface SimulatorOptions {
  /** Disks are files in a folder of its own in there, which is removed at the end; made if it is not there. */
  readonly dir: string
  /** @default 'ovirt-4.5' */
  readonly profile?: string
  /** Compatibility level of the cluster `Default`. @default the highest of the profile */
  readonly clusterLevel?: string
  /** Stays open: several installations may share one. @default a virtual one of its own */
  readonly clock?: SimulatorClock
  /** Port of the engine. @default a free one */
  readonly port?: number
  /** Until when the engine's certificate is valid, milliseconds since 1970 of the real clock. @default a year from now */
  readonly certificateEndsMs?: number
  /** The engine's web server and proxy have certificates of another authority than the hosts (CONTRACT §1.3). @default false */
  readonly hasCustomCertificate?: boolean
}

export interface Simulator extends AsyncDisposable {
  /** `https://127.0.0.1:PORT/ovirt-engine/api` */
  readonly url: string
  /** Its own folder, gone when it ends. */
  readonly folder: string
  /** Certificate of the authority that signed the engine's, PEM: the internal one, unless it has a custom certificate. */
  readonly ca: string
  /** Certificate of the internal authority, which signed those of the hosts, PEM. */
  readonly internalCa: string
  readonly credentials: { readonly username: string; readonly password: string }
  readonly clock: SimulatorClock
  readonly profile: Profile
  /** What there is from the beginning. */
  readonly site: DefaultSite
  readonly inventory: Inventory
  readonly faults: SimulatorFaults
  /** Steps in at the moments of backups and transfers. */
  readonly moments: Moments
  /** Requests that reached the engine, in order. */
  readonly requests: readonly SeenRequest[]
  /** All machines, the oldest first. */
  readonly vms: readonly Vm[]
  vm(id: string): Vm
  disk(id: string): Disk
  /** The guest of a running VM, at one of its disks. */
  guest(vmId: string, diskId: string): Guest
  /** A disk past any machine: to fill it before a test begins. */
  image(diskId: string): Guest
  /** What a disk of a backup held at the moment of the freeze, by a witness of its own. */
  frozen(backupId: string, diskId: string): OracleRecord
  /** Where a copy differs from what was recorded; none means that it is the same to the bit. */
  differences(record: OracleRecord, copy: Bytes | DiskReader): Promise<readonly Range[]>
  /** What a disk holds now, by the same witness. */
  record(diskId: string): Promise<OracleRecord>
  /** All that is locked, open, or orphaned. */
  state(): SimulatorState
  /** Ends all sessions, as a restart of the engine does. */
  endSessions(): void
  /** A guest shuts itself down, past all locks; its live backup dies, its bitmaps are whole. */
  shutDownGuest(vmId: string): void
  /** A guest's power fails; its bitmaps stay in use, its live backup dies. */
  crashVm(vmId: string): void
  /** A host's power fails: its guests, tickets, and what its imageio had not flushed. */
  crashHost(hostId: string): Promise<void>
  recoverHost(hostId: string): void
}

const ADMIN = { username: 'admin@internal', password: 'simulated-secret' } as const

/**
 * Starts an installation.
 *
 * @throws GranaryError `GRANARY_INVALID_ARGUMENT` on an unknown profile or level
 */
export const createSimulator = async (options: SimulatorOptions): Promise<Simulator> => {
  const profile = profileOf(options.profile ?? 'ovirt-4.5')
  await mkdir(options.dir, { recursive: true })
  const folder = await mkdtemp(join(options.dir, 'ovirt-'))
  try {
    return await assemble(options, profile, folder)
  } catch (error) {
    await rm(folder, { recursive: true, force: true })
    throw error
  }
}

const assemble = async (options: SimulatorOptions, profile: Profile, folder: string): Promise<Simulator> => {
  const clock = options.clock ?? createVirtualClock()
  const world = createWorld({ clock, profile, folder })
  const authority = createAuthority('simulated-engine-ca')
  const webAuthority = options.hasCustomCertificate === true ? createAuthority('custom-web-ca') : authority
  const names = ['127.0.0.1', 'localhost']
  const identity = webAuthority.issue({ names, notAfterMs: options.certificateEndsMs })
  const engine = webAuthority === authority ? identity : authority.issue({ names })
  const http = new HttpFaults(clock)
  const signIn = new SignIn(world)
  const hosts = new ImageHosts(world, { hosts: authority, proxy: webAuthority })
  const transfers = new Transfers(world, hosts)
  const certificates = { ca: authority.cert, engine: engine.cert }
  const routes = allRoutes(world, transfers)
  const server = await startServer({
    clock,
    site: { routes, signIn, certificates, knows: knowledgeOf(profile) },
    faults: http,
    moments: world.moments,
    identity,
    port: options.port,
  })
  const close = async (): Promise<void> => {
    closeEngine(world)
    await server[Symbol.asyncDispose]()
    await hosts[Symbol.asyncDispose]()
    await transfers[Symbol.asyncDispose]()
    if (options.clock === undefined) await clock[Symbol.asyncDispose]()
    await closeDisks(world)
    await rm(folder, { recursive: true, force: true })
  }
  const inventory = new Inventory(world, hostNetworkOf(server.port))
  const site = await furnish(inventory, world, { hosts, level: options.clusterLevel }).catch(async (error: unknown) => {
    await close()
    throw error
  })
  return {
    url: `https://127.0.0.1:${server.port}/ovirt-engine/api`,
    folder,
    ca: webAuthority.cert,
    internalCa: authority.cert,
    credentials: ADMIN,
    clock,
    profile,
    site,
    inventory,
    faults: simulatorFaults({ world, http, hosts, transfers, signIn }),
    moments: world.moments,
    requests: server.requests,
    get vms() {
      return [...world.vms.values()]
    },
    ...observers(world),
    endSessions: () => signIn.clear(),
    shutDownGuest: id => powerOff(world, known(world.vms, 'VM', id)),
    crashVm: id => crashVm(world, known(world.vms, 'VM', id)),
    crashHost: async id => await crashHost(world, transfers, id),
    recoverHost: id => setHostStatus(world, id, 'up'),
    [Symbol.asyncDispose]: close,
  }
}

/** What there is from the beginning: a site whose hosts answer, and an administrator. */
const furnish = async (
  inventory: Inventory,
  world: World,
  { hosts, level }: { readonly hosts: ImageHosts; readonly level: string | undefined },
): Promise<DefaultSite> => {
  const site = addDefaultSite(inventory, world, level)
  inventory.addAccount(ADMIN.username, ADMIN.password)
  await hosts.start(site.hostIds)
  return site
}

/**
 * Hosts answer at addresses of their own, as they all listen at the same port: of the loopback network, in a part of it
 * that no other simulator uses, as none has the same port.
 */
const hostNetworkOf = (enginePort: number): string => `127.${enginePort >> 8}.${enginePort & 255}`

type Observers = 'vm' | 'disk' | 'guest' | 'image' | 'frozen' | 'differences' | 'record' | 'state'

/** What looks at the installation past its API. */
const observers = (world: World): Pick<Simulator, Observers> => ({
  vm: id => known(world.vms, 'VM', id),
  disk: id => known(world.disks, 'disk', id),
  guest: (vmId, diskId) => openGuest(world, known(world.disks, 'disk', diskId), known(world.vms, 'VM', vmId)),
  image: diskId => openGuest(world, known(world.disks, 'disk', diskId)),
  frozen: (backupId, diskId) => frozenRecord(world, backupId, diskId),
  differences: async (record, copy) =>
    await differencesFrom(record, copy instanceof Uint8Array ? memoryDisk(copy) : copy),
  async record(diskId) {
    const { volume } = known(world.disks, 'disk', diskId)
    if (volume === undefined) throw new GranaryError('GRANARY_UNSUPPORTED', `disk ${diskId} has no image`)
    return await volume.record()
  },
  state: () => observe(world),
})

const known = <T>(table: ReadonlyMap<string, T>, what: string, id: string): T => {
  const entity = table.get(id)
  if (entity === undefined) throw new GranaryError('GRANARY_NOT_FOUND', `no ${what} ${id}`)
  return entity
}

const frozenRecord = (world: World, backupId: string, diskId: string): OracleRecord => {
  const backups = [...world.vms.values()].flatMap(vm => vm.backups.get(backupId) ?? [])
  const record = backups[0]?.disks.find(one => one.diskId === diskId)?.frozen?.record
  if (record === undefined)
    throw new GranaryError('GRANARY_NOT_FOUND', `backup ${backupId} holds no disk ${diskId} now`)
  return record
}

const closeDisks = async (world: World): Promise<void> => {
  for (const disk of world.disks.values()) await disk.volume?.[Symbol.asyncDispose]()
}
