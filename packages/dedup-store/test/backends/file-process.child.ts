/** A second process for file-process.test.ts: `race` puts the decisions it is told, `hang` holds a lock and never finishes a put. */
import type { Bytes } from '@granary/core'
import { fileBackend } from '@granary/dedup-store'

const [task, root, name] = process.argv.slice(2) as [string, string, string]
const backend = fileBackend(root)
const send = (message: unknown): void => void process.send?.(message)

const race = async (key: string): Promise<void> => {
  const result = await backend.put(key, Buffer.from(name), { ifAbsent: true, owner: name })
  send({ result, seen: Buffer.from(await backend.get(key)).toString() })
}

const hang = async (): Promise<void> => {
  await backend.hold(name)
  const endless = async function* (): AsyncGenerator<Bytes> {
    yield Buffer.alloc(100_000, 1)
    send('writing')
    await new Promise(() => undefined)
  }
  await backend.put('packs/aa-1', endless(), { owner: name })
}

process.on('message', message => void (task === 'race' ? race(message as string) : hang()))
send('ready')
