/** Backs a machine up in a process of its own, and tells its parent of each exchange with the engine. @module */
import { createRealClock } from '@granary/ovirt-simulator'
import { fileBackend, openRepository } from '@granary/dedup-store'
import { Engine, Journal, backupVms, openImageDisk, parseOvirtConfig, recover } from '../../src/index.ts'
import { readVm } from '../../src/engine/resources/vms.ts'
import { SECRET } from './world.ts'

export interface KillChild {
  readonly config: string
  readonly ca: string
  readonly repository: string
  readonly vmId: string
  readonly kind: 'full' | 'incremental'
  readonly speed: number
  readonly originMs: number
}

const job = JSON.parse(process.argv[2] as string) as KillChild
const clock = createRealClock({ speed: job.speed, originMs: job.originMs })
const { config } = await parseOvirtConfig(job.config, { path: 'test', format: 'conf' })
const { username, password } = config
const engine = new Engine({
  url: config.engineUrl,
  username,
  password,
  apiCa: job.ca,
  clock,
  onExchange: ({ method, path }) => void process.send?.(`${method} ${path}`),
})
const journal = await Journal.open({ folder: config.journalFolder, clock })
const repository = await openRepository(fileBackend(job.repository), SECRET)
await recover({ engine, journal })
const vms = [await readVm(engine, job.vmId)]
const openImage: typeof openImageDisk = async options =>
  await openImageDisk({ ...options, clock, isLocalAllowed: false })
await backupVms({ engine, repository, journal, openImage, settings: config }, { vms, kind: job.kind, workers: 0 })
for (const open of [journal, engine, repository, clock]) await open[Symbol.asyncDispose]()
process.disconnect?.()
