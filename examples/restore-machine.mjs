// Restores a machine from a repository to an oVirt-family engine:
//   node examples/restore-machine.mjs rb_module_ovirt.conf REPO KEY_FILE SNAPSHOT_ID [STORAGE_DOMAIN]
import { readFile } from 'node:fs/promises'
import { openBackend, openRepository } from '@granary/dedup-store'
import {
  Engine,
  Journal,
  openImageUpload,
  planRestore,
  readOvirtConfig,
  readRestoreTarget,
  requirePlan,
  restoreMachine,
  storedSource,
} from '@granary/ovirt-adapter'
import { readKeyFile } from '@granary/transform'

const [configFile, repo, keyFile, snapshotId, storageDomain] = process.argv.slice(2)
const { config } = await readOvirtConfig(configFile)
const { key } = await readKeyFile(keyFile)
const repository = await openRepository(await openBackend(repo), { kind: 'key-file', key })
const engine = new Engine({
  url: config.engineUrl,
  username: config.username,
  password: config.password,
  ...(config.caFile === undefined ? {} : { apiCa: await readFile(config.caFile, 'utf8') }),
})
const journal = await Journal.open({ folder: config.journalFolder })

// The plan is worked out first: it says what will be made, or everything that stands against it.
const source = await storedSource(repository, snapshotId)
const target = await readRestoreTarget(engine, { name: source.record.vm.name })
const plan = requirePlan(planRestore(source, target, storageDomain === undefined ? {} : { storageDomain }))
for (const disk of plan.disks) console.log(`${disk.alias} goes to ${disk.storageDomain.name}`)

const report = await restoreMachine(
  {
    engine,
    journal,
    settings: config,
    openUpload: openImageUpload,
    onEvent: event => event.type === 'step' && console.log(`${event.step}: ${event.what}`),
  },
  source,
  plan,
)
console.log(`restored as ${report.name}, ${report.vmId}`)
for (const what of report.notRestored) console.log(`not restored: ${what}`)

for (const open of [journal, engine, repository]) await open[Symbol.asyncDispose]()
