/** Sites under a configuration, and what shows that one of its keys counts. @module */
import { readFile, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Test } from 'tap'
import { projectPath } from '@granary/testing'
import type { ConfigKey } from '../../src/config/keys.ts'
import { reachHost } from '../../src/host/host-access.ts'
import {
  Libvirt,
  backupVms,
  chooseVms,
  openEngine,
  openImageUpload,
  parseOvirtConfig,
  planRestore,
  readRestoreTarget,
  requirePlan,
  restoreMachine,
  storedSource,
} from '../../src/index.ts'
import type { OpenImageOptions, OpenUploadOptions, OvirtConfig, VmBackupReport } from '../../src/index.ts'
import { World, MIB } from '../backup/world.ts'

export const MINUTE_MS = 60_000

/** The site's configuration with other lines behind it: the last one of a key counts. */
export const configWith = async (world: World, ...lines: readonly string[]): Promise<OvirtConfig> =>
  (await parseOvirtConfig([world.configText, ...lines].join('\n'), { path: 'test', format: 'conf' })).config

export const openWorld = async (lines: readonly string[], disks = 1, level = '4.7') => {
  const world = await World.open({ config: lines, clusterLevel: level })
  const shapes = Array.from({ length: disks }, () => ({ sizeBytes: 4 * MIB }))
  const vmId = await world.addVm('web', shapes, Array(disks).fill(MIB) as number[])
  return { world, vmId, [Symbol.asyncDispose]: async () => await world[Symbol.asyncDispose]() }
}

/** Whether the engine answers under such a configuration, else the code of the error. */
export const answerUnder = async (world: World, ...lines: readonly string[]): Promise<string> => {
  try {
    await using engine = await openEngine(await configWith(world, ...lines), world.simulator)
    await engine.get('')
    return 'answered'
  } catch (error) {
    return (error as { code: string }).code
  }
}

/** How long something takes on the clock of the site. */
export const timed = async (world: World, work: () => Promise<unknown>): Promise<number> => {
  const startMs = world.simulator.clock.now()
  await work().catch(() => undefined)
  return world.simulator.clock.now() - startMs
}

/** Backs one machine up, and says with what each image was opened. */
export const imagesOf = async (lines: readonly string[]): Promise<OpenImageOptions[]> => {
  await using site = await openWorld(lines)
  const seen: OpenImageOptions[] = []
  const vms = await chooseVms(site.world.engine, { all: true })
  const openImage = async (options: OpenImageOptions) => {
    seen.push(options)
    return await site.world.openImage(options)
  }
  await backupVms({ ...site.world.context, openImage }, { vms, workers: 0 })
  return seen
}

/** The most machines whose backups are open at one time. */
export const mostAtOnce = async (
  lines: readonly string[],
  spread: 'hosts' | 'domains' | 'none' = 'none',
): Promise<number> => {
  const wide = ['vms_at_once 8', 'vms_per_host 8', 'vms_per_storage_domain 8']
  await using world = await World.open({ config: [...wide, ...lines] })
  const { hostIds, storageDomains } = world.simulator.site
  for (let i = 0; i < 3; i++) {
    const storageDomainId = storageDomains[spread === 'domains' ? i % 2 : 0]?.id
    const id = await world.addVm(`vm${i}`, [{ sizeBytes: MIB, storageDomainId }], [65_536])
    world.simulator.vm(id).hostId = hostIds[spread === 'hosts' ? i % 2 : 0]
  }
  let [open, most] = [0, 0]
  await backupVms(world.context, {
    vms: await chooseVms(world.engine, { all: true }),
    workers: 0,
    onStep: (_, step) => {
      if (step === 'configuration') most = Math.max(most, ++open)
    },
    onResult: () => void open--,
  })
  return most
}

export const restoreOf = async (
  world: World,
  backup: VmBackupReport,
  options: {
    openUpload?: (options: OpenUploadOptions) => ReturnType<typeof openImageUpload>
    signal?: AbortSignal
  } = {},
) => {
  const { engine, journal, config, simulator } = world
  const source = await storedSource(world.repository, backup.snapshot.id)
  const choices = config.diskUploadMechanism === undefined ? {} : { uploadMechanism: config.diskUploadMechanism }
  const plan = requirePlan(planRestore(source, await readRestoreTarget(engine, { name: 'web' }), choices))
  const openUpload = async (upload: OpenUploadOptions) =>
    await openImageUpload({
      ...upload,
      clock: simulator.clock,
      isLocalAllowed: false,
      connectTimeoutMs: world.connectTimeoutMs,
    })
  return await restoreMachine({ engine, journal, settings: config, openUpload, ...options }, source, plan, options)
}

/** Answers of the engine to GET of that path show for ever what they show now. */
export const freeze = (world: World, path: string, change: object): void => {
  const { engine } = world
  const find = engine.find.bind(engine)
  const get = engine.get.bind(engine)
  const isFrozen = (asked: string): boolean => new RegExp(path).test(asked)
  engine.find = async (asked, options) => {
    const found = await find(asked, options)
    return found !== undefined && isFrozen(asked) ? { ...found, ...change } : found
  }
  engine.get = async (asked, options) => {
    const found = await get(asked, options)
    if (!isFrozen(asked)) return found
    const list = found['image_transfer']
    return Array.isArray(list)
      ? { image_transfer: list.map((one: object) => ({ ...one, ...change })) }
      : { ...found, ...change }
  }
}

/** How long a wait lasts before it is given up, under a key's two values: the longer one waits longer. */
export const expectWait = async (
  t: Test,
  [key, short, long]: readonly [ConfigKey, number, number],
  arm: (site: { world: World; vmId: string }) => unknown,
): Promise<void> => {
  const waits: number[] = []
  for (const seconds of [short, long]) {
    await using site = await openWorld([`${key} ${seconds}`], 1, '4.6')
    await arm(site)
    waits.push(await timed(site.world, async () => await site.world.backUp(site.vmId)))
  }
  const [first = 0, second = 0] = waits
  t.ok(first >= short * 1000, `${first} ms for ${short} s`)
  t.ok(second - first >= (long - short) * 900, `${second} ms for ${long} s`)
}

export const hostKeys = async (lines: readonly string[], isHere: boolean): Promise<string[]> => {
  await using site = await openWorld(lines)
  const { world } = site
  const hostId = world.simulator.site.hostIds[0] ?? ''
  const vdsmIdPath = join(world.folder, 'vdsm.id')
  const host = await world.engine.get(`/hosts/${hostId}`)
  const uuid = (host['hardware_information'] as { uuid: string }).uuid
  await writeFile(vdsmIdPath, isHere ? `${uuid}\n` : 'f0000000-0000-0000-0000-000000000000\n')
  const uris: string[] = []
  const openLibvirt = (uri: string): Libvirt => {
    uris.push(uri)
    return new Libvirt({ uri })
  }
  await reachHost(world.engine, hostId, { ...world.config, vdsmIdPath, openLibvirt })
  return uris
}

/** With a real libvirt, the tests of the host path show it: one of them must set it. */
export const checkElsewhere = async (t: Test, setting: string): Promise<void> => {
  const folder = projectPath('packages/ovirt-adapter/test/host')
  const files = (await readdir(folder)).filter(name => name.endsWith('.ts'))
  const texts = await Promise.all(files.map(async name => await readFile(join(folder, name), 'utf8')))
  t.ok(
    texts.some(text => text.includes(setting)),
    `${setting} is set by a test of the host path`,
  )
}
