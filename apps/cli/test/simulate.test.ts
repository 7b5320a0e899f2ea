import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import { once } from 'node:events'
import { request } from 'node:https'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { promisify } from 'node:util'
import { projectPath, startGranary } from '@granary/testing'
import t from 'tap'
import type { Test } from 'tap'
import { createRepository, granary, scratchFolder } from './in-process.ts'

t.setTimeout(600_000)

interface Where {
  readonly url: string
  readonly caFile: string
  readonly user: string
  readonly passwordFile: string
}

interface Started {
  readonly where: Where
  /** Tells it to end. @returns the exit code */
  readonly end: () => Promise<number>
}

/** Starts `granary simulate ovirt`, and gives back what it printed once it runs. */
const start = async (t: Test, words: readonly string[]): Promise<Started> => {
  const running = startGranary(['simulate', 'ovirt', ...words], { output: 'unread' })
  t.teardown(() => running.child.kill('SIGKILL'))
  const lines = createInterface({ input: running.child.stdout as Readable })
  const [line] = (await once(lines, 'line')) as [string]
  return {
    where: JSON.parse(line) as Where,
    async end() {
      running.child.kill('SIGTERM')
      return (await running.done).code
    },
  }
}

const get = async (
  { url, caFile, user, passwordFile }: Where,
  path: string,
): Promise<{ status: number; body: string }> => {
  const auth = `${user}:${readFileSync(passwordFile, 'utf8').trimEnd()}`
  const outgoing = request(`${url}/${path}`, {
    auth,
    ca: readFileSync(caFile),
    headers: { accept: 'application/json' },
  })
  outgoing.end()
  const [response] = await once(outgoing, 'response')
  return { status: response.statusCode, body: await text(response) }
}

t.test('one line of JSON, two machines, and nothing left when it ends', async t => {
  const dir = join(scratchFolder(t), 'engine')
  const { where, end } = await start(t, ['--dir', dir, '--profile', 'zvirt-4.0'])
  t.same(Object.keys(where), ['url', 'caFile', 'user', 'passwordFile'])
  t.equal(statSync(where.passwordFile).mode & 0o777, 0o600)
  const { vm } = JSON.parse((await get(where, 'vms')).body) as { vm: { name: string; status: string }[] }
  t.same(
    vm.map(one => [one.name, one.status]),
    [
      ['web', 'up'],
      ['db', 'down'],
    ],
  )
  t.match(JSON.parse((await get(where, '')).body), { product_info: { name: 'zVirt' } })
  t.equal(await end(), 0)
  t.notOk(existsSync(where.caFile))
  t.same(readdirSync(dir), [])
})

t.test('check, check --deep, backup and restore work against it as they are', async t => {
  const folder = scratchFolder(t)
  const { where, end } = await start(t, ['--dir', join(folder, 'engine'), '--speed', '50'])
  const config = join(folder, 'ovirt.conf')
  const lines = [
    `engine ${where.url}`,
    `username ${where.user}`,
    `password file:${where.passwordFile}`,
    `ca_info ${where.caFile}`,
    'backup_using_ovirt_api yes',
    'imagetransfer_inactivity_timeout 500',
    `journal_folder ${join(folder, 'journal')}`,
  ]
  writeFileSync(config, `${lines.join('\n')}\n`, { mode: 0o600 })
  const env = { ...(await createRepository(t)).env, GRANARY_OVIRT_CONFIG: config }
  const { code, text } = await granary(['ovirt', 'check', '--deep', '--json'], { env })
  const findings = text.trim().split('\n')
  t.equal(code, /"status":"warning"/.test(text) ? 3 : 0, text)
  // Fifty times as fast, its clock soon is ahead of this machine's; another simulator may have the usual port of the proxy.
  for (const line of findings)
    t.match(JSON.parse(line), { name: String, status: /"(clock|proxy)"/.test(line) ? /ok|warning/ : 'ok' })
  for (const name of ['host host1', 'host host2', 'disk in nfs-data', 'disk in iscsi-data'])
    t.ok(
      findings.some(line => line.includes(`"${name}"`)),
      name,
    )
  const backup = await granary(['ovirt', 'backup', 'db'], { env })
  t.equal(backup.code, 0, backup.stderr)
  const restore = await granary(['ovirt', 'restore', 'latest', '--name', 'db-again', '--yes'], { env })
  t.equal(restore.code, 0, restore.stderr)
  t.match(restore.text, /machine "db-again" restored in cluster "Default": 1 disk/)
  t.equal((await granary(['ovirt', 'clean'], { env })).text, 'nothing is left on the engine\n')
  t.equal(await end(), 0)
})

t.test('a folder with files in it keeps them', async t => {
  const dir = scratchFolder(t)
  mkdirSync(join(dir, 'precious'))
  const { end } = await start(t, ['--dir', dir, '--empty'])
  t.equal(await end(), 0)
  t.same(readdirSync(dir), ['precious'])
})

t.test('with --json the line has type and version; faults come from a file', async t => {
  const dir = scratchFolder(t)
  const faults = join(dir, 'faults.json')
  writeFileSync(faults, JSON.stringify({ http: [{ kind: 'status', status: 503, path: '*/api/vms', times: 1 }] }))
  const { where, end } = await start(t, ['--dir', dir, '--faults', faults, '--empty', '--speed', '100', '--json'])
  t.match(where, { type: 'simulating', v: 1, profile: 'ovirt-4.5', user: 'admin@internal' })
  t.equal((await get(where, 'vms')).status, 503)
  t.equal((await get(where, 'vms')).body, '{ }')
  t.equal(await end(), 0)
})

t.test('what makes no sense is refused before anything starts', async t => {
  const dir = scratchFolder(t)
  const faults = join(dir, 'faults.json')
  writeFileSync(faults, '{"http":[{"kind":"explode"}]}')
  for (const [words, message] of [
    [['--profile', 'vmware-8'], /no profile vmware-8: expected ovirt-4/],
    [['--cluster-level', '4.1'], /cluster level 4.1/],
    [['--speed', '0'], /--speed 0: expected a whole number/],
    [['--port', '99999'], /--port 99999/],
    [['--faults', faults], /http\[0\].kind is none of drop/],
  ] as const) {
    const { code, stderr } = await granary(['simulate', 'ovirt', '--dir', join(dir, 'engine'), ...words])
    t.equal(code, 2, words.join(' '))
    t.match(stderr, message)
  }
  t.equal((await granary(['simulate', 'ovirt', '--faults', join(dir, 'nothing')])).code, 10)
  t.same(existsSync(join(dir, 'engine')) ? readdirSync(join(dir, 'engine')) : [], [], 'nothing is left behind')
})

t.test('the example of the SDK', async t => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    projectPath('examples', 'simulated-engine.mjs'),
    scratchFolder(t),
  ])
  t.equal(
    stdout,
    `POST: ECONNRESET
the guest writes while the backup is open
ready after 22 s, checkpoint made
open: 1 backup, 1 locked disk
an hour later: {}
`,
  )
})
