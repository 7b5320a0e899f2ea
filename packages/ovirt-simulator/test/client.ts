/** The plainest client there is: one request, its answer as it came. */
import { Agent, request } from 'node:https'
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import type { Test } from 'tap'
import { createSimulator } from '@granary/ovirt-simulator'
import type { Simulator, SimulatorOptions } from '@granary/ovirt-simulator'

export interface Reply {
  readonly status: number
  readonly headers: Record<string, string | string[] | undefined>
  readonly text: string
  /** The body as JSON; fails where it is none. */
  readonly json: any
}

export interface SendOptions {
  readonly headers?: Record<string, string | undefined>
  readonly body?: unknown
}

export class Client {
  readonly simulator: Simulator
  token = ''
  readonly #agent: Agent

  constructor(simulator: Simulator) {
    this.simulator = simulator
    this.#agent = new Agent({ keepAlive: true, ca: simulator.ca })
  }

  close(): void {
    this.#agent.destroy()
  }

  /** @param path below the engine's own host: `/ovirt-engine/...`, or below its API: `vms` */
  async send(method: string, path: string, { headers = {}, body }: SendOptions = {}): Promise<Reply> {
    const url = path.startsWith('/') ? new URL(path, this.simulator.url) : new URL(`${this.simulator.url}/${path}`)
    const given = {
      accept: 'application/json',
      ...(this.token !== '' && { authorization: `Bearer ${this.token}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    }
    const defined = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
    return await new Promise<Reply>((resolve, reject) => {
      const outgoing = request(url, { method, agent: this.#agent, headers: defined }, response => {
        const pieces: Buffer[] = []
        response.on('data', (piece: Buffer) => pieces.push(piece))
        response.on('error', reject)
        response.on('end', () => {
          const text = Buffer.concat(pieces).toString()
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            text,
            get json() {
              return text === '' ? undefined : JSON.parse(text)
            },
          })
        })
      })
      outgoing.on('error', reject)
      outgoing.end(body === undefined || typeof body === 'string' ? body : JSON.stringify(body))
    })
  }

  async get(path: string, headers: Record<string, string | undefined> = {}): Promise<Reply> {
    return await this.send('GET', path, { headers })
  }

  async post(path: string, body: unknown, headers: Record<string, string> = {}): Promise<Reply> {
    return await this.send('POST', path, { body, headers })
  }

  async signIn(
    username = this.simulator.credentials.username,
    password = this.simulator.credentials.password,
  ): Promise<this> {
    const body = new URLSearchParams({ grant_type: 'password', scope: 'ovirt-app-api', username, password }).toString()
    const headers = { 'content-type': 'application/x-www-form-urlencoded' }
    this.token = (await this.post('/ovirt-engine/sso/oauth/token', body, headers)).json.access_token
    return this
  }

  /** Asks again every two seconds until it is so. */
  async until(path: string, isSo: (reply: Reply) => boolean): Promise<Reply> {
    for (let n = 0; n < 1000; n++) {
      const reply = await this.get(path)
      if (isSo(reply)) return reply
      await this.simulator.clock.sleep(2_000)
    }
    throw new Error(`${path} never became so`)
  }
}

/** A simulator and a client that is signed in, both gone when the test ends. */
export const setUp = async (t: Test, options: Partial<SimulatorOptions> = {}): Promise<Client> => {
  const simulator = await createSimulator({ dir: join(t.testdir(), randomUUID()), ...options })
  const client = await new Client(simulator).signIn()
  t.teardown(async () => {
    client.close()
    await simulator[Symbol.asyncDispose]()
  })
  return client
}
