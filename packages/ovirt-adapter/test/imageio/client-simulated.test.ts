/** The client's suite against our simulated daemon. */
import { imageioClientSuite } from './client-suite.ts'
import { startSimulated } from './daemons.ts'

await imageioClientSuite('simulated imageio', startSimulated, false)
