/** The official Python SDK, which speaks XML, against the simulator. */
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { projectPath } from '@granary/testing'
import t from 'tap'
import { addDemoMachines, createRealClock, createSimulator } from '@granary/ovirt-simulator'

t.setTimeout(600_000)

/** The interpreter that has the SDK: where `.ci/run` puts it, or the machine's own. */
const findPython = (): string | undefined =>
  [projectPath('.venv', 'bin', 'python'), 'python3'].find(
    path => (path === 'python3' || existsSync(path)) && spawnSync(path, ['-c', 'import ovirtsdk4']).status === 0,
  )

const python = findPython()
const skip = python === undefined ? 'ovirt-engine-sdk-python is not installed: pip install it into .venv' : false

const CASES = [
  { profile: 'ovirt-4.5', clusterLevel: '4.7', product: 'oVirt Engine' },
  { profile: 'rosa-3.0', clusterLevel: '4.6', product: 'ROSA Virtualization' },
]

for (const { profile, clusterLevel, product } of CASES)
  t.test(`${profile}, level ${clusterLevel}: list, back up, transfer, finalize, restore`, { skip }, async t => {
    await using simulator = await createSimulator({
      dir: t.testdir(),
      profile,
      clusterLevel,
      clock: createRealClock({ speed: 100 }),
    })
    const [web] = await addDemoMachines(simulator)
    for (const diskId of web?.attachments.keys() ?? [])
      await simulator.image(diskId).write(0, new Uint8Array(16).fill(7))
    const caFile = join(simulator.folder, 'ca.pem')
    writeFileSync(caFile, simulator.ca)
    const { username, password } = simulator.credentials
    const script = projectPath('packages', 'ovirt-simulator', 'test', 'sdk_flow.py')
    const child = spawn(python ?? '', [script, simulator.url, caFile, username, password], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)])
    t.equal(stderr, '')
    t.match(JSON.parse(stdout), {
      product,
      major: 4,
      clusters: ['Default'],
      status: 'up',
      memory: 1024 ** 3,
      disks: [
        ['cow', 64 * 1024 ** 2, 'ok'],
        ['cow', 64 * 1024 ** 2, 'ok'],
      ],
      ovf: '<?xml',
      followed: ['web_Disk1', 'web_Disk2'],
      backup: 'ready',
      checkpoint: true,
      modes: ['full', 'full'],
      read: [
        [206, 7, true],
        [206, 7, true],
      ],
      end: 'succeeded',
      checkpoints: [[true, 'created']],
      restored: 'up',
      conflict: [409, true],
      running: 409,
      event: 9801,
    })
    const left = Object.entries(simulator.state()).filter(([, ids]) => ids.length > 0)
    t.same(left, [], 'nothing is left locked or open')
  })
