/** Files of a snapshot into the CD drive of a machine, by command, against the simulated engine. */
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createRealClock } from '@granary/ovirt-simulator'
import { parseJsonLines } from '@granary/testing'
import { createRepository, granary } from './in-process.ts'
import { peer, whyNo } from './peers.ts'
import { startEngine } from './simulated-engine.ts'

t.setTimeout(600_000)

t.test(
  'files go into the drive of a running machine, are read from its disk, and are ejected',
  { skip: whyNo('mkfs.ext4', 'xorriso') },
  async t => {
    const { simulator, config } = await startEngine(t, {
      clock: createRealClock({ speed: 20 }),
      lines: ['imagetransfer_inactivity_timeout 500'], // The engine's clock runs fast, ours doesn't.
    })
    const vm = await simulator.inventory.addVm({ name: 'web', clusterId: simulator.site.clusterId })
    const domain = simulator.site.storageDomains[0]?.name ?? ''
    const { folder, env } = await createRepository(t)
    const files = mkdtempSync(join(folder, 'files-'))
    mkdirSync(join(files, 'etc'))
    writeFileSync(join(files, 'etc', 'настройки.conf'), 'a = 1')
    const disk = join(folder, 'web.raw')
    await peer('mkfs.ext4', '-q', '-F', '-d', files, disk, '16M')
    t.equal((await granary(['backup', disk], { env })).code, 0)
    const attach = ['ovirt', 'files', 'attach', 'granary:latest:disk:/etc', '--config', config, '--vm', 'web']

    const which = await granary(attach, { env })
    t.equal(which.code, 2)
    t.match(which.stderr, new RegExp(`data domains: .*${domain}`))
    t.strictSame(simulator.state().floatingDisks, [])

    const attached = await granary([...attach, '--storage-domain', domain, '--json'], { env })
    t.equal(attached.code, 0, attached.stderr)
    const [row] = parseJsonLines(attached.text) as [{ id: string; disc: string; sizeBytes: number }]
    t.match(row, { type: 'files-attached', v: 1, vm: 'web', vmId: vm.id, storageDomain: domain, isCurrent: true })
    t.equal(simulator.vm(vm.id).cdrom.current, row.disc)
    const image = join(folder, 'seen.iso')
    const bytes = new Uint8Array(row.sizeBytes)
    await simulator.image(row.disc).read(0, bytes)
    writeFileSync(image, bytes)
    await peer('xorriso', '-osirrox', 'on', '-indev', image, '-extract', '/', join(folder, 'seen'))
    t.strictSame(readdirSync(join(folder, 'seen', 'etc')), ['настройки.conf'])
    t.equal(readFileSync(join(folder, 'seen', 'etc', 'настройки.conf'), 'utf8'), 'a = 1')

    const occupied = await granary([...attach, '--storage-domain', domain], { env })
    t.equal(occupied.code, 11)
    t.match(occupied.stderr, /--replace-cd/)
    const list = await granary(['ovirt', 'files', 'list', '--config', config, '--json'], { env })
    t.match(parseJsonLines(list.text), [{ type: 'files', id: row.id, vm: 'web' }])
    const eject = await granary(['ovirt', 'files', 'eject', row.id, '--config', config, '--json'], { env })
    t.equal(eject.code, 0, eject.stderr)
    t.match(parseJsonLines(eject.text), [{ type: 'files-ejected', id: row.id }])
    t.match(simulator.vm(vm.id).cdrom, { current: '', stored: '' })
    t.strictSame(simulator.state().floatingDisks, [])

    const short = await granary([...attach, '--storage-domain', domain, '--eject-after', '1s', '--json'], { env })
    t.equal(short.code, 0, short.stderr)
    t.match(parseJsonLines(short.text), [{ type: 'files-attached', ejectAt: String }, { type: 'files-ejected' }])
    t.strictSame(simulator.state().floatingDisks, [])
    t.equal((await granary([...attach, '--eject-after', 'soon'], { env })).code, 2)
  },
)
