/** Ports on loopback: one that no server listens on, and whether a server listens on one. */
export { accepts as answers, freePort } from '../../src/bench/environment.js'
