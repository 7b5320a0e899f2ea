/** What each key of the configuration does to backups and restores. A key without a row here is an error of the compiler. */
import { mkdir, readdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import t from 'tap'
import type { Test } from 'tap'
import { KEYS } from '../../src/config/keys.ts'
import type { ConfigKey } from '../../src/config/keys.ts'
import { planScratchFolder, startWatch } from '../../src/host/scratch.ts'
import {
  Journal,
  backupVms,
  checkVersion,
  chooseVms,
  openEngine,
  openImageUpload,
  recover,
  restoreUndo,
} from '../../src/index.ts'
import type { OpenUploadOptions } from '../../src/index.ts'
import { World, MIB } from '../backup/world.ts'
import { json, scriptedEngine } from '../engine/scripted-engine.ts'
import {
  MINUTE_MS,
  answerUnder,
  checkElsewhere,
  configWith,
  expectWait,
  freeze,
  hostKeys,
  imagesOf,
  mostAtOnce,
  openWorld,
  restoreOf,
  timed,
} from './effect-site.ts'

const EFFECTS: Record<ConfigKey, (t: Test) => Promise<void>> = {
  async engine(t) {
    await using site = await openWorld([])
    t.equal(await answerUnder(site.world), 'answered')
    t.equal(await answerUnder(site.world, 'engine https://127.0.0.1:1', 'engine_outage_timeout 0'), 'GRANARY_IO')
  },
  async grant_type(t) {
    await using site = await openWorld([])
    t.equal(await answerUnder(site.world, 'grant_type password'), 'answered', 'the engine takes no other grant of us')
  },
  async username(t) {
    await using site = await openWorld([])
    t.equal(await answerUnder(site.world, 'username nobody@internal'), 'GRANARY_PERMISSION')
  },
  async password(t) {
    await using site = await openWorld([])
    t.equal(await answerUnder(site.world, 'password wrong'), 'GRANARY_PERMISSION')
  },
  async ca_info(t) {
    await using site = await openWorld([])
    await using other = await World.open()
    t.equal(await answerUnder(site.world, `ca_info ${join(other.folder, 'engine-ca.pem')}`), 'GRANARY_AUTHENTICATION')
  },
  async timeout(t) {
    await using site = await openWorld([])
    await using silent = await scriptedEngine(({ path }, response) => {
      if (!path.endsWith('/vms')) json(response, 200, {})
    })
    const { caFile: _, ...config } = await configWith(site.world, 'timeout 1', 'engine_outage_timeout 0')
    await using engine = await openEngine({ ...config, engineUrl: `${silent.url}/ovirt-engine` })
    await t.rejects(engine.get('/vms'), { code: 'GRANARY_TIMEOUT', message: /no answer in 1 s/ })
  },
  async disk_upload_mechanism(t) {
    for (const [mechanism, format] of [
      ['nbd', 'raw'],
      ['file', 'cow'],
    ] as const) {
      await using site = await openWorld([`disk_upload_mechanism ${mechanism}`])
      const backup = await site.world.backUp(site.vmId)
      await restoreOf(site.world, backup)
      const transfers = (await site.world.engine.get('/imagetransfers'))['image_transfer'] as Record<string, string>[]
      const upload = transfers.find(one => one['direction'] === 'upload')
      t.equal(upload?.['format'], format, mechanism)
    }
  },
  async backup_vm_from_native_host(t) {
    await checkElsewhere(t, 'backsUpFromNativeHost: false')
  },
  async disk_upload_timeout(t) {
    const waits: number[] = []
    for (const minutes of [1, 3]) {
      await using site = await openWorld([`disk_upload_timeout ${minutes}`])
      const backup = await site.world.backUp(site.vmId)
      for (const host of site.world.simulator.site.hostIds)
        await site.world.simulator.faults.imageio(host, {
          effect: { kind: 'status', status: 500 },
          times: 100_000,
          when: ({ method }) => method === 'PUT' || method === 'PATCH',
        })
      waits.push(await timed(site.world, async () => await restoreOf(site.world, backup)))
    }
    t.ok((waits[1] ?? 0) > (waits[0] ?? 0), `${waits.join(' and ')} ms until it is given up`)
  },
  async disk_download_timeout(t) {
    t.match(await imagesOf(['disk_download_timeout 7']), [{ stallTimeoutMs: 7 * MINUTE_MS }])
  },
  async image_transfer_timeout(t) {
    await expectWait(t, ['image_transfer_timeout', 20, 200], ({ world }) =>
      freeze(world, '/imagetransfers', { phase: 'initializing' }),
    )
  },
  async imagetransfer_inactivity_timeout(t) {
    await using site = await openWorld(['imagetransfer_inactivity_timeout 123'])
    await site.world.backUp(site.vmId)
    const transfers = (await site.world.engine.get('/imagetransfers'))['image_transfer']
    t.match(transfers, [{ inactivity_timeout: '123' }])
    t.match(await imagesOf(['imagetransfer_inactivity_timeout 30']), [{ keepAliveMs: 10_000 }])
  },
  async image_transfer_finalize_timeout(t) {
    await using site = await openWorld(['image_transfer_finalize_timeout 20'])
    let isRead = false
    site.world.simulator.moments.on('backup-read', () => {
      if (!isRead) freeze(site.world, '/imagetransfers', { phase: 'finalizing_success' })
      isRead = true
    })
    const report = await site.world.backUp(site.vmId)
    t.match(report.warnings.join(), /waited 20 s until transfer .* is finished/)
  },
  async allow_work_with_incompatible_versions(t) {
    await using site = await openWorld([])
    freeze(site.world, '^$', { product_info: { name: 'x', version: { major: '4', minor: '6' } } })
    for (const [answer, isAllowed] of [
      ['no', false],
      ['yes', true],
    ] as const) {
      const config = await configWith(site.world, `allow_work_with_incompatible_versions ${answer}`)
      const checked = checkVersion(site.world.engine, { allowsOthers: config.allowsIncompatibleVersions })
      if (isAllowed) await t.resolves(checked)
      else await t.rejects(checked, { code: 'GRANARY_UNSUPPORTED' })
    }
  },
  async curl_verbose(t) {
    await using site = await openWorld([])
    for (const [answer, count] of [
      ['no', 0],
      ['yes', 1],
    ] as const) {
      const seen: string[] = []
      const config = await configWith(site.world, `curl_verbose ${answer}`)
      const { clock } = site.world.simulator
      await using engine = await openEngine(config, { clock, onExchange: ({ path }) => seen.push(path) })
      await engine.get('/vms')
      t.equal(seen.filter(path => path.includes('/vms')).length, count, answer)
    }
  },
  async backup_using_ovirt_api(t) {
    for (const [answer, warning] of [
      ['yes', /^$/],
      ['no', /runs on another host/],
    ] as const) {
      await using site = await openWorld([`backup_using_ovirt_api ${answer}`])
      const { config, context, engine } = site.world
      const vms = await chooseVms(engine, { all: true })
      const host = { ...config, isPreferred: !config.usesBackupApi, vdsmIdPath: join(site.world.folder, 'none') }
      const [result] = await backupVms({ ...context, host }, { vms, workers: 0 })
      t.match(
        result !== undefined && 'report' in result ? result.report.warnings.join() : String(result?.error),
        warning,
      )
    }
  },
  async remove_vm_checkpoints_at_full_backup(t) {
    for (const [answer, count] of [
      ['no', 2],
      ['yes', 1],
    ] as const) {
      await using site = await openWorld([`remove_vm_checkpoints_at_full_backup ${answer}`])
      await site.world.backUp(site.vmId)
      await site.world.backUpForeign(site.vmId)
      await site.world.backUp(site.vmId, { kind: 'full' })
      t.equal(site.world.simulator.vm(site.vmId).checkpoints.length, count, answer)
    }
  },
  async platform_side_backup_timeout(t) {
    await expectWait(t, ['platform_side_backup_timeout', 20, 200], ({ world }) =>
      freeze(world, '/backups/[^/]+$', { phase: 'starting' }),
    )
  },
  async backup_finalize_timeout(t) {
    await using site = await openWorld(['backup_finalize_timeout 20'])
    site.world.simulator.moments.on('backup-finalizing', () =>
      freeze(site.world, '/backups/[^/]+$', { phase: 'finalizing' }),
    )
    const report = await site.world.backUp(site.vmId)
    t.match(report.warnings.join(), /waited 20 s until backup .* is over/)
  },
  async imageio_ca_info(t) {
    await using site = await openWorld([])
    await using other = await World.open()
    const config = await configWith(site.world, `imageio_ca_info ${join(other.folder, 'engine-ca.pem')}`)
    await using engine = await openEngine(config, site.world.simulator)
    const [result] = await backupVms(
      { ...site.world.context, engine },
      { vms: await chooseVms(engine, { all: true }), workers: 0 },
    )
    t.match(result, { error: { code: 'GRANARY_AUTHENTICATION' } }, 'hosts are held against that certificate')
  },
  async engine_outage_timeout(t) {
    for (const [seconds, isDone] of [
      [30, false],
      [600, true],
    ] as const) {
      await using site = await openWorld([`engine_outage_timeout ${seconds}`])
      site.world.simulator.moments.once('backup-ready', () =>
        site.world.simulator.faults.engineAway(3 * MINUTE_MS, 'network'),
      )
      const backup = site.world.backUp(site.vmId)
      if (isDone) await t.resolves(backup)
      else await t.rejects(backup)
    }
  },
  async vm_state_timeout(t) {
    await expectWait(t, ['vm_state_timeout', 20, 200], ({ world, vmId }) => {
      world.simulator.vm(vmId).status = 'migrating'
    })
  },
  async host_path_method(t) {
    await checkElsewhere(t, "hostPathMethod: 'snapshot'")
  },
  async libvirt_authfile(t) {
    t.match(await hostKeys(['libvirt_authfile /etc/granary/virsh.conf'], true), [
      /authfile=%2Fetc%2Fgranary%2Fvirsh\.conf/,
    ])
    t.match(await hostKeys([], true), ['qemu:///system'])
  },
  async libvirt_ssh_user(t) {
    t.match(await hostKeys(['libvirt_ssh_user vdsm'], false), [/^qemu\+ssh:\/\/vdsm@/])
    t.strictSame(await hostKeys([], false), [], 'without it, another host is out of reach')
  },
  async scratch_folder(t) {
    await using site = await openWorld([])
    const { folder } = site.world
    for (const [scratch, isThere] of [
      [folder, true],
      [join(folder, 'nowhere'), false],
    ] as const) {
      const { scratchFolder } = await configWith(site.world, `scratch_folder ${scratch}`)
      const planned = planScratchFolder({ folder: scratchFolder, reserveBytes: 0 })
      if (isThere) t.match(await planned, new RegExp(`^${folder}/granary-`))
      else await t.rejects(planned, { code: 'GRANARY_NOT_FOUND' })
    }
  },
  async scratch_limit(t) {
    await using site = await openWorld([])
    const { folder } = site.world
    const file = join(folder, 'overlay')
    await writeFile(file, new Uint8Array(65 * MIB))
    for (const [limit, isEnough] of [
      ['64M', false],
      ['66M', true],
    ] as const) {
      const { scratchLimitBytes } = await configWith(site.world, `scratch_limit ${limit}`)
      const scratch = { folder, limitBytes: scratchLimitBytes, reserveBytes: 0 }
      const watch = startWatch([file], scratch, { clock: site.world.simulator.clock, isAlive: async () => true })
      if (isEnough) await t.resolves(watch.look())
      else await t.rejects(watch.look(), { code: 'GRANARY_NO_SPACE', detail: { usedBytes: 65 * MIB } })
      await watch.stop()
    }
  },
  async journal_folder(t) {
    await using site = await openWorld([])
    const folder = join(site.world.folder, 'elsewhere')
    await mkdir(folder)
    const { journalFolder } = await configWith(site.world, `journal_folder ${folder}`)
    await using journal = await Journal.open({ folder: journalFolder })
    await journal.begin('check', site.world.engine.base, {})
    t.equal((await readdir(join(folder, 'runs'))).filter(name => name.endsWith('.jsonl')).length, 1)
  },
  async installation_id(t) {
    await using site = await openWorld([])
    const { installationId = '' } = await configWith(site.world, 'installation_id site-7')
    await using journal = await Journal.open({ folder: join(site.world.folder, 'own'), installation: installationId })
    await backupVms(
      { ...site.world.context, journal },
      { vms: await chooseVms(site.world.engine, { all: true }), workers: 0 },
    )
    t.match(site.world.simulator.vm(site.vmId).checkpoints, [{ description: /^granary site-7 / }])
  },
  async vms_at_once(t) {
    t.equal(await mostAtOnce(['vms_at_once 2']), 2)
  },
  async vms_per_host(t) {
    t.equal(await mostAtOnce(['vms_per_host 1']), 1)
    t.equal(await mostAtOnce(['vms_per_host 1'], 'hosts'), 2)
  },
  async vms_per_storage_domain(t) {
    t.equal(await mostAtOnce(['vms_per_storage_domain 1']), 1)
    t.equal(await mostAtOnce(['vms_per_storage_domain 1'], 'domains'), 2)
  },
  async transfers_per_vm(t) {
    for (const count of [1, 3]) {
      await using site = await openWorld([`transfers_per_vm ${count}`], 4)
      let most = 0
      site.world.simulator.moments.on('backup-read', () => {
        most = Math.max(most, site.world.simulator.state().openTransfers.length)
      })
      await site.world.backUp(site.vmId, { workers: 4 })
      t.ok(count === 1 ? most <= 2 : most >= 3, `${most} open with ${count} at once; one that was read ends later`)
    }
  },
  async connections_per_transfer(t) {
    t.match(await imagesOf(['connections_per_transfer 7']), [{ connections: 7 }])
  },
  async bandwidth(t) {
    const times: number[] = []
    for (const lines of [[], ['bandwidth 128k']]) {
      await using world = await World.open({ config: lines })
      const vmId = await world.addVm('web', [{ sizeBytes: 8 * MIB }], [8 * MIB])
      times.push(await timed(world, async () => await world.backUp(vmId)))
    }
    t.ok((times[1] ?? 0) - (times[0] ?? 0) > 20_000, `8 MiB at 128 KiB/s: ${times.join(' and ')} ms`)
  },
  async restore_age_limit(t) {
    for (const [days, kind] of [
      [1, 'undone'],
      [3, 'left'],
    ] as const) {
      await using site = await openWorld([`restore_age_limit ${days}`])
      const { world } = site
      const backup = await world.backUp(site.vmId)
      const left = new AbortController()
      const openUpload = async (options: OpenUploadOptions) => {
        const upload = await openImageUpload({ ...options, clock: world.simulator.clock, isLocalAllowed: false })
        const flush = upload.flush.bind(upload)
        upload.flush = async abort => {
          await flush(abort)
          left.abort(new Error('the caller left'))
        }
        return upload
      }
      await t.rejects(restoreOf(world, backup, { openUpload, signal: left.signal }))
      await world.restart()
      const { journal, config, simulator } = world
      const { clock } = simulator
      const later = { ...clock, now: () => clock.now() + 2 * 24 * 60 * MINUTE_MS }
      await using engine = await openEngine(config, { clock: later })
      const undo = restoreUndo({ journal, settings: config, ageLimitMs: config.restoreAgeLimitMs })
      t.match(await recover({ engine, journal, undo }), [{ outcome: { kind } }], `${days} days`)
    }
  },
}

t.setTimeout(800_000)

t.test('every key of the table has an effect that is tested', async t => {
  t.strictSame(Object.keys(EFFECTS).toSorted(), Object.keys(KEYS).toSorted())
})

for (const [key, effect] of Object.entries(EFFECTS)) t.test(key, { timeout: 200_000 }, async t => await effect(t))
