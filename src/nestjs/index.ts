import {
  type DynamicModule,
  type FactoryProvider,
  Inject,
  type InjectionToken,
  Module,
  type ModuleMetadata,
  type OnApplicationShutdown,
} from '@nestjs/common'
import { createMailer, type Mailer, type MailerOptions } from '../index.js'

/** The token of the mailer: `app.get(MAILER)`, or `inject: [MAILER]` of a factory. */
export const MAILER: InjectionToken<Mailer> = Symbol.for('threadpost.mailer')

const SETTINGS: InjectionToken<ThreadpostModuleSettings> = Symbol('threadpost.settings')

/** Decorates a constructor parameter or a property that gets the mailer: `constructor(@InjectMailer() private readonly mailer: Mailer) {}`. */
export function InjectMailer(): ReturnType<typeof Inject> {
  return Inject(MAILER)
}

/** How the module behaves in the application. */
export interface ThreadpostModuleSettings {
  /** Whether every module may inject the mailer, and not only those that import this one. @default true */
  global?: boolean
  /**
   * Maximum milliseconds for the deliveries in progress, and with the memory queue for everything that is due, when the application
   * shuts down.
   * @default 10_000
   */
  deadline?: number
}

/** Options of {@link ThreadpostModule.forRootAsync}. */
export interface ThreadpostAsyncOptions extends ThreadpostModuleSettings {
  /** Modules whose providers `useFactory` gets. @default none */
  imports?: ModuleMetadata['imports']
  /** Tokens of what `useFactory` gets, in this order. @default none */
  inject?: FactoryProvider['inject']
  /** Returns the options of the mailer. */
  useFactory: FactoryProvider<MailerOptions>['useFactory']
}

/**
 * A module of NestJS (10 or newer) with one mailer, which is created when the application starts. `app.close()` closes it after the
 * server has answered its last request; on SIGTERM too, once the application calls `enableShutdownHooks()`.
 */
export class ThreadpostModule implements OnApplicationShutdown {
  readonly #mailer: Mailer
  readonly #deadline: number | undefined

  constructor(mailer: Mailer, { deadline }: ThreadpostModuleSettings) {
    this.#mailer = mailer
    this.#deadline = deadline
  }

  async onApplicationShutdown(): Promise<void> {
    await this.#mailer.close(this.#deadline === undefined ? {} : { deadline: this.#deadline })
  }

  /** The application doesn't start if `createMailer()` throws. */
  static forRoot(options: MailerOptions, settings: ThreadpostModuleSettings = {}): DynamicModule {
    return ThreadpostModule.forRootAsync({ ...settings, useFactory: () => options })
  }

  /** The same with options that depend on other providers, such as a `ConfigService`. */
  static forRootAsync(options: ThreadpostAsyncOptions): DynamicModule {
    const { imports = [], inject = [], useFactory, ...settings } = options
    return {
      module: ThreadpostModule,
      global: settings.global ?? true,
      imports,
      providers: [
        {
          provide: MAILER,
          inject,
          useFactory: async (...given: unknown[]) => createMailer(await useFactory(...given)),
        },
        { provide: SETTINGS, useValue: settings },
      ],
      exports: [MAILER],
    }
  }
}

// The same as `@Module({})`, `@InjectMailer()`, and `@Inject()`, without the syntax of decorators.
Module({})(ThreadpostModule)
InjectMailer()(ThreadpostModule, undefined, 0)
Inject(SETTINGS)(ThreadpostModule, undefined, 1)
