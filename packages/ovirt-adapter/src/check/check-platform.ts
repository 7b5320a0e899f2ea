/**
 * Looks whether all is as backups need it, and says what to do about what isn't. Findings come as they are made.
 *
 * @module
 */
import type { AbortOptions } from '@granary/core'
import type { OvirtConfig } from '../config/ovirt-config.ts'
import type { HostPath } from '../backup/settings.ts'
import type { Engine } from '../engine/engine.ts'
import { hasLink } from '../engine/json.ts'
import type { ApiRoot } from '../engine/resources/api-root.ts'
import { readApiRoot } from '../engine/resources/api-root.ts'
import { CANNOT_END_TRANSFERS, mayEndTransfers, readGrants } from '../engine/resources/grants.ts'
import { listAttachedDomains, listDataCenters, listHosts } from '../engine/resources/places.ts'
import type { StorageDomain } from '../engine/resources/places.ts'
import { listVms } from '../engine/resources/vms.ts'
import { isEngineVm } from '../backup/choose-vms.ts'
import { hostPathFindings } from '../host/check-host.ts'
import type { Journal } from '../journal/journal.ts'
import { probeStorage } from './deep.ts'
import { findingOf } from './finding.ts'
import type { Finding } from './finding.ts'
import { reach } from './reach.ts'
import { describeEngine, isTested } from './version.ts'

export interface CheckOptions extends AbortOptions {
  readonly engine: Engine
  readonly config: OvirtConfig
  readonly journal: Journal
  /** Also make, write, read and remove a disk of 1 MiB in each active storage domain. @default false */
  readonly isDeep?: boolean
  /** How this machine and its libvirt are found, where that is not as usual. */
  readonly access?: Pick<HostPath, 'vdsmIdPath' | 'openLibvirt'>
}

/** Where imageio listens: on hosts, and beside the engine. */
const IMAGEIO_PORT = 54322
const PROXY_PORT = 54323

/** Sessions and tickets end by the clock. */
const MOST_CLOCK_DIFFERENCE_MS = 300_000

export async function* checkPlatform(options: CheckOptions): AsyncGenerator<Finding, void, undefined> {
  const { engine, signal } = options
  let root: ApiRoot
  try {
    root = await readApiRoot(engine, { signal })
  } catch (error) {
    yield findingOf('engine', error, 'check address, certificate authority, user and password in the configuration')
    return
  }
  yield engineFinding(root, options)
  yield clockFinding(root, engine)
  yield await apiFinding(engine, { signal })
  yield await vmsFinding(engine, { signal })
  yield await permissionsFinding(engine, { signal })
  yield* hostFindings(options)
  yield* storageFindings(engine, { signal })
  yield* settingFindings(options)
  if (!options.config.usesBackupApi) yield* hostPathFindings(engine, { ...options.config, ...options.access, signal })
  yield await journalFinding(options)
  if (options.isDeep === true) yield* deepFindings(options)
}

const engineFinding = (root: ApiRoot, { config }: CheckOptions): Finding => {
  const text = describeEngine(root)
  const detail = { productInfo: root.productInfo }
  if (isTested(root)) return { name: 'engine', status: 'ok', text, detail }
  return {
    name: 'engine',
    status: config.allowsIncompatibleVersions ? 'warning' : 'failed',
    text: `${text}, which was not tested`,
    hint: 'tested are engines 4.4 and 4.5; allow_work_with_incompatible_versions yes works with others all the same',
    detail,
  }
}

const clockFinding = ({ timeMs }: ApiRoot, { clock }: Engine): Finding => {
  if (timeMs === undefined) return { name: 'clock', status: 'skipped', text: 'the engine does not tell its time' }
  const seconds = Math.round((timeMs - clock.now()) / 1000)
  if (Math.abs(seconds) * 1000 <= MOST_CLOCK_DIFFERENCE_MS)
    return { name: 'clock', status: 'ok', text: `the engine's differs by ${seconds} s` }
  return {
    name: 'clock',
    status: 'warning',
    text: `the engine's differs by ${seconds} s`,
    hint: 'let both ask the same time server',
  }
}

const apiFinding = async (engine: Engine, options: AbortOptions): Promise<Finding> => {
  const name = 'image transfers'
  if (hasLink(await engine.get('', options), 'imagetransfers'))
    return { name, status: 'ok', text: 'offered by the engine' }
  return {
    name,
    status: 'failed',
    text: 'not offered by the engine',
    hint: 'an engine of version 4.4 or later is needed',
  }
}

const vmsFinding = async (engine: Engine, options: AbortOptions): Promise<Finding> => {
  const name = 'machines'
  const vms = await listVms(engine, options)
  if (vms.length === 0) {
    const hint = 'if there are any, the account may not see them: give it the role SuperUser'
    return { name, status: 'warning', text: 'the account sees none', hint }
  }
  const without = vms.filter(vm => !vm.offersBackups).length
  const own = vms.find(isEngineVm)
  const text = `${vms.length} seen, ${vms.length - without} with the backup interface${own === undefined ? '' : `; ${own.name} is the engine's own`}`
  if (own !== undefined) return { name, status: 'ok', text, hint: `${own.name} is left out: use engine-backup for it` }
  return without === 0
    ? { name, status: 'ok', text }
    : { name, status: 'warning', text, hint: 'an engine of version 4.4 or later offers it for all' }
}

const permissionsFinding = async (engine: Engine, options: AbortOptions): Promise<Finding> => {
  const name = 'permissions'
  const grants = await readGrants(engine, options)
  if (grants === undefined)
    return {
      name,
      status: 'skipped',
      text: 'the engine does not tell what the account may do',
      hint: '--deep tries it',
    }
  if (mayEndTransfers(grants)) return { name, status: 'ok', text: 'the account may begin and end transfers' }
  const hint = 'give it the role SuperUser, or see docs/ovirt-adapter.md, "What the account needs"'
  return { name, status: 'failed', text: CANNOT_END_TRANSFERS, hint }
}

async function* hostFindings({ engine, config, signal }: CheckOptions): AsyncGenerator<Finding, void, undefined> {
  let ca: string
  try {
    ca = await engine.imageioCa({ signal })
    yield { name: 'imageio authority', status: 'ok', text: 'its certificate is there' }
  } catch (error) {
    yield findingOf('imageio authority', error, 'give it with imageio_ca_info')
    return
  }
  const targets = (await listHosts(engine, { signal })).map(host => ({ ...host, port: IMAGEIO_PORT }))
  for (const { name, address, status, port } of targets) {
    if (status !== 'up') yield { name: `host ${name}`, status: 'skipped', text: `it is ${status}` }
    else yield await reachFinding(`host ${name}`, { host: address, port, ca, config, signal })
  }
  const proxy = await reachFinding('proxy', {
    host: new URL(engine.base).hostname,
    port: PROXY_PORT,
    ca,
    config,
    signal,
  })
  // Hosts that are reached need no proxy, and an engine need not have one.
  yield proxy.status === 'failed' ? { ...proxy, status: 'warning' } : proxy
}

const reachFinding = async (
  name: string,
  { config, ...target }: AbortOptions & { host: string; port: number; ca: string; config: OvirtConfig },
): Promise<Finding> => {
  const address = `${target.host}:${target.port}`
  try {
    await reach({ ...target, timeoutMs: config.timeoutMs })
    return { name, status: 'ok', text: `imageio answers at ${address}` }
  } catch (error) {
    return findingOf(
      name,
      error,
      `open ${address} in the firewalls between here and there, and let its name be resolved`,
    )
  }
}

async function* storageFindings(engine: Engine, options: AbortOptions): AsyncGenerator<Finding, void, undefined> {
  for (const center of await listDataCenters(engine, options)) {
    for (const domain of await listAttachedDomains(engine, center.id, options)) {
      if (domain.type === 'data') yield domainFinding(domain)
    }
  }
}

async function* deepFindings(options: CheckOptions): AsyncGenerator<Finding, void, undefined> {
  const { engine, config, journal, signal } = options
  for (const center of await listDataCenters(engine, { signal })) {
    for (const { id, name, type, status } of await listAttachedDomains(engine, center.id, { signal })) {
      if (type !== 'data' || status !== 'active') continue
      const title = `disk in ${name}`
      try {
        await probeStorage({ engine, journal, settings: config, storageDomainId: id, signal })
        yield { name: title, status: 'ok', text: 'made, written, read and removed' }
      } catch (error) {
        yield findingOf(title, error, 'see docs/ovirt-adapter.md, "What the account needs", and the host checks above')
      }
    }
  }
}

const domainFinding = ({
  name,
  status,
  storageType,
  availableBytes,
  blockedBytes,
  isBackup,
}: StorageDomain): Finding => {
  const title = `storage ${name}`
  const what = isBackup ? `${storageType}, a backup domain` : storageType
  if (status !== 'active') {
    const hint = 'disks there can not be backed up: activate it'
    return { name: title, status: 'warning', text: `${what}: it is ${status ?? 'unattached'}`, hint }
  }
  const gib = Math.round((availableBytes ?? 0) / 1024 ** 3)
  if (availableBytes !== undefined && availableBytes <= blockedBytes) {
    const hint = 'running machines need room for what they write during a backup: make some'
    return { name: title, status: 'warning', text: `${what}: ${gib} GiB available, less than the engine needs`, hint }
  }
  return { name: title, status: 'ok', text: `${what}: ${gib} GiB available` }
}

function* settingFindings({ config }: CheckOptions): Generator<Finding, void, undefined> {
  if (!config.usesBackupApi) {
    yield {
      name: 'backup_using_ovirt_api',
      status: 'warning',
      text: 'no: disks are to be read on the host',
      hint: 'set it to yes for incremental backups through the engine',
    }
  }
  if (config.removesAllCheckpoints) {
    yield {
      name: 'remove_vm_checkpoints_at_full_backup',
      status: 'warning',
      text: "yes: a full backup removes all checkpoints of its machine, other products' too",
      hint: 'other products then start again with full backups; no removes only ours',
    }
  }
}

const journalFinding = async ({ journal, config }: CheckOptions): Promise<Finding> => {
  const name = 'journal'
  try {
    const entry = await journal.begin('check', config.engineUrl, {})
    await entry.end()
    let left = 0
    for (const run of await journal.abandoned()) {
      await using held = run
      left += held.entries.length
    }
    const text = `installation ${journal.installation} in ${config.journalFolder}`
    if (left === 0) return { name, status: 'ok', text }
    const hint = 'the next backup puts it away; `granary ovirt clean` shows it'
    return {
      name,
      status: 'warning',
      text: `${text}; a run that died left ${left} ${left === 1 ? 'thing' : 'things'}`,
      hint,
    }
  } catch (error) {
    return findingOf(name, error, `let this user write to ${config.journalFolder}, or set journal_folder`)
  }
}
