// Runs Jenkinsfiles with stubs of the steps, and prints what each scenario did as JSON. Called by test_releases.py.
//
//   groovy execute.groovy SCENARIOS.json
//
// SCENARIOS.json: [{"file", "branch", "parameters": {}, "events": [{"step": text, "event": "failure", "abort" or
// "timeout", "times": number or absent}]}]. The first step whose "STAGE: text" matches `step`, a regular expression, meets the event. Printed, for
// each scenario: {"result", "problems": [texts], "options": [names], "skipped": [stages], "steps": [{"stage", "step",
// "text", "credentials", "locks", "minutes", "agent", "result"}]}. It knows the part of Jenkins' rules that a release
// relies on: a stage's options surround its agent, its steps and its post conditions; a failed or aborted stage skips all
// later ones; post conditions run in Jenkins' order, and those of a stage that `when` skips do not run. This is not
// Jenkins' own validator: it knows the sections of a declarative pipeline and the steps that this project uses, and any
// other word is a problem.

import groovy.json.JsonOutput
import groovy.json.JsonSlurper
import org.codehaus.groovy.control.CompilerConfiguration

/** Ends a step: with FAILURE, or with ABORTED for a person's abort and for a time limit. */
class StepEnd extends RuntimeException {
    String result

    StepEnd(String result, String text) { super(text); this.result = result }
}

/** What surrounds a step: the stage, its agent, credentials, locks, time limit and environment. */
class Surroundings {
    String stage = ''
    String agent = ''
    List credentials = []
    List locks = []
    Integer minutes = null
    Map environment = [:]

    Surroundings with(Map changes) {
        new Surroundings([stage: stage, agent: agent, credentials: credentials, locks: locks, minutes: minutes,
                          environment: environment] + changes)
    }
}

/** One run of a pipeline: the events that wait for their step, and what ran. */
class Build {
    Script script
    Words block
    String branch
    Map parameters
    List events
    List steps = []
    List skipped = []
    List problems = []
    List options = []
    String result = 'SUCCESS'

    void problem(String place, String text) { problems << "${place ?: 'pipeline'}: ${text}".toString() }

    static final List ORDER = ['SUCCESS', 'UNSTABLE', 'FAILURE', 'ABORTED']

    void worsen(String other) { if (ORDER.indexOf(other) > ORDER.indexOf(result)) result = other }

    void step(Surroundings at, String name, String text) {
        def event = events.find { ("${at.stage}: ${text}" =~ it.step).find() && it.times != 0 }
        if (event?.times) event.times--
        def end = event == null ? 'SUCCESS' : event.event == 'failure' ? 'FAILURE' : 'ABORTED'
        if (event?.event == 'timeout' && at.minutes == null) throw new IllegalStateException("${text} has no time limit")
        steps << [stage: at.stage, step: name, text: text, credentials: at.credentials, locks: at.locks,
                  minutes: at.minutes, agent: at.agent, result: end]
        if (event != null) throw new StepEnd(end, "${name}: ${event.event}")
    }
}

/** A Jenkinsfile: its own methods contain steps, which belong to the block that calls them. */
abstract class PipelineFile extends Script {
    private Build build

    void useBuild(Build build) { this.@build = build }

    def methodMissing(String name, arguments) { this.@build.block.word(name, arguments as List) }

    def propertyMissing(String name) { this.@build.block.propertyMissing(name) }
}

/**
 * Answers the words of one block: subclasses implement `word`. Names that are not words are variables. A step belongs to
 * the block that runs, not to the one whose text it is in: a closure can be passed to a method of the file.
 */
abstract class Words {
    Build build
    Surroundings at

    void run(Closure body) {
        def outer = build.block
        body.delegate = this
        body.resolveStrategy = Closure.DELEGATE_FIRST
        build.block = this
        try { body.call() } finally { build.block = outer }
    }

    abstract Object word(String name, List arguments)

    def methodMissing(String name, arguments) {
        def own = build.script.metaClass.getMetaMethod(name, arguments as Object[])
        return own == null ? build.block.word(name, arguments as List) : own.invoke(build.script, arguments as Object[])
    }

    def propertyMissing(String name) {
        if (name == 'params') return build.parameters
        if (name == 'env') return [BRANCH_NAME: build.branch] + at.environment
        if (name == 'currentBuild') return [currentResult: build.result]
        return at.environment.containsKey(name) ? at.environment[name] : name
    }

    Integer minutes(Map limit) {
        [MINUTES: 1, HOURS: 60, SECONDS: 1][limit.unit ?: 'MINUTES'] * (limit.time as Integer)
    }
}

/** steps, or the steps of a post condition. */
class StepWords extends Words {
    static final Set PLAIN = ['string', 'file', 'usernamePassword'] as Set
    static final Set WITHOUT_AGENT = ['input', 'echo', 'error', 'milestone', 'build'] as Set
    static final Set ON_AGENT = ['sh', 'checkout', 'stash', 'unstash', 'archiveArtifacts', 'junit', 'recordCoverage', 'deleteDir'] as Set

    Object word(String name, List arguments) {
        def body = arguments && arguments.last() instanceof Closure ? arguments.last() : null
        if (name in PLAIN) return arguments.first()
        if (body != null) { new StepWords(build: build, at: inside(name, arguments)).run(body); return null }
        check(name, arguments)
        build.step(at, name, text(arguments))
        return null
    }

    void check(String name, List arguments) {
        def hasAgent = !(at.agent in ['', 'none'])
        if (!(name in WITHOUT_AGENT || name in ON_AGENT)) build.problem(at.stage, "unknown step ${name}")
        if (name in ON_AGENT && !hasAgent) build.problem(at.stage, "runs ${name} without an agent")
        if (name == 'input' && hasAgent) build.problem(at.stage, 'waits for a person while it holds an agent')
        if (name == 'sh' && arguments.any { it instanceof GString })
            build.problem(at.stage, at.credentials ? 'sh puts a secret into its text: use single quotes' : 'sh interpolates: use single quotes')
    }

    String text(List arguments) {
        def first = arguments ? arguments.first() : ''
        def text = first instanceof Map ? first.script ?: first.message ?: first : first
        return text.toString().trim()
    }

    Surroundings inside(String name, List arguments) {
        switch (name) {
            case 'withCredentials': return at.with(credentials: at.credentials + arguments.first().collect { it.credentialsId })
            case 'timeout': return at.with(minutes: minutes(arguments.first()))
            case 'lock': return at.with(locks: at.locks + (arguments.first() instanceof Map ? arguments.first().resource : arguments.first()).toString())
            case 'withEnv': return at.with(environment: at.environment + arguments.first().collectEntries { it.toString().split('=', 2) as List })
            case ['catchError', 'dir', 'retry', 'script', 'ws']: return at
        }
        build.problem(at.stage, "unknown step ${name}")
        return at
    }
}

/** when: the conditions, all of which must hold. */
class Conditions extends Words {
    boolean holds = true
    List results = []

    Object word(String name, List arguments) {
        if (name.startsWith('before')) return null
        results << value(name, arguments ? arguments.first() : null)
        holds = results.every()
        return null
    }

    boolean value(String name, Object argument) {
        switch (name) {
            case 'branch': return build.branch == argument
            case 'expression': argument.delegate = this; argument.resolveStrategy = Closure.DELEGATE_FIRST; return argument.call()
            case 'not': return !inner(argument).every()
            case 'anyOf': return inner(argument).any()
            case 'allOf': return inner(argument).every()
            case 'changeRequest': return build.branch.startsWith('PR-')
            case 'buildingTag': return false
        }
        build.problem(at.stage, "unknown condition ${name} of when")
        return true
    }

    List inner(Closure body) {
        def block = new Conditions(build: build, at: at)
        block.run(body)
        return block.results
    }
}

/** environment: assignments, each of which can use the earlier ones. */
class Assignments extends Words {
    Object word(String name, List arguments) { arguments.first() }

    void setProperty(String name, value) {
        if (name in ['build', 'at', 'metaClass']) { metaClass.setProperty(this, name, value); return }
        at.environment[name] = value.toString()
    }
}

/** pipeline, or one stage: collects the sections. */
class Sections extends Words {
    static final Set BODIES = ['steps', 'stages', 'parallel'] as Set
    static final Set OTHERS = ['agent', 'options', 'environment', 'when', 'input', 'parameters', 'triggers', 'post'] as Set

    Map found = [:]
    List stages = []
    Map post = [:]

    Object word(String name, List arguments) {
        def body = arguments && arguments.last() instanceof Closure ? arguments.last() : null
        if (name == 'stage') { stages << [name: arguments[0], body: body]; return null }
        if (!(name in BODIES || name in OTHERS)) build.problem(at.stage, "does not take ${name}")
        if (found.containsKey(name)) build.problem(at.stage, "has ${name} twice")
        found[name] = body ?: arguments.first()
        if (name in ['stages', 'parallel']) run(body)
        else if (name == 'post') new Post(owner: this, build: build, at: at).run(body)
        return null
    }

    void check(boolean isPipeline) {
        if (isPipeline) ['agent', 'stages'].each { if (!found.containsKey(it)) build.problem('', "has no ${it}") }
        else if (found.keySet().intersect(BODIES).size() != 1) build.problem(at.stage, "needs exactly one of ${BODIES.join(', ')}")
    }
}

/** post: a block for each condition. */
class Post extends Words {
    Sections owner

    Object word(String name, List arguments) {
        if (!Runner.POST.containsKey(name)) build.problem(at.stage, "unknown condition ${name} of post")
        owner.post[name] = arguments.first()
        return null
    }
}

/** options: time limits and locks surround the whole stage; the others change nothing here. */
class Options extends Words {
    Surroundings result

    Object word(String name, List arguments) {
        build.options << name
        if (name == 'timeout') result = result.with(minutes: minutes(arguments.first()))
        if (name == 'lock') result = result.with(locks: result.locks + (arguments.first() instanceof Map ? arguments.first().resource : arguments.first()).toString())
        return name
    }
}

/** agent: the label, or none. */
class AgentWords extends Words {
    String label = ''

    Object word(String name, List arguments) { label = arguments.first(); return name }
}

/** Runs the sections of a pipeline or of a stage. */
class Runner {
    Build build

    static final Map POST = [
        always: { true }, changed: { false }, fixed: { false }, regression: { false }, aborted: { it == 'ABORTED' },
        failure: { it == 'FAILURE' }, success: { it == 'SUCCESS' }, unstable: { it == 'UNSTABLE' },
        unsuccessful: { it != 'SUCCESS' }, cleanup: { true },
    ]

    String run(Closure body, Surroundings outer, String name) {
        def inner = outer.with(stage: name, environment: new LinkedHashMap(outer.environment))
        def sections = new Sections(build: build, at: inner)
        sections.run(body)
        sections.check(name == '')
        def at = surroundings(sections, inner)
        if (!chosen(sections, at)) { build.skipped << name; return 'SUCCESS' }
        def result = guarded { content(sections, at) }
        return worst(result, conditions(sections, at, result))
    }

    Surroundings surroundings(Sections sections, Surroundings at) {
        def agent = sections.found.agent
        if (agent instanceof Closure) {
            def words = new AgentWords(build: build, at: at)
            words.run(agent)
            at = at.with(agent: words.label)
        } else if (agent != null) at = at.with(agent: agent.toString())
        if (sections.found.environment) new Assignments(build: build, at: at).run(sections.found.environment)
        if (!sections.found.options) return at
        def options = new Options(build: build, at: at, result: at)
        options.run(sections.found.options)
        return options.result
    }

    boolean chosen(Sections sections, Surroundings at) {
        if (!sections.found.when) return true
        def when = new Conditions(build: build, at: at)
        when.run(sections.found.when)
        return when.holds
    }

    void content(Sections sections, Surroundings at) {
        if (sections.found.input) build.step(at, 'input', 'input')
        if (sections.found.steps) new StepWords(build: build, at: at).run(sections.found.steps)
        def end = 'SUCCESS'
        sections.stages.each { stage ->
            if (end == 'SUCCESS') end = run(stage.body, at, stage.name)
            else build.skipped << stage.name
        }
        if (end != 'SUCCESS') throw new StepEnd(end, 'a stage ended so')
    }

    String conditions(Sections sections, Surroundings at, String result) {
        def worst = result
        POST.each { condition, holds ->
            if (sections.post[condition] && holds(result))
                worst = this.worst(worst, guarded { new StepWords(build: build, at: at.with(stage: "${at.stage} ${condition}".trim())).run(sections.post[condition]) })
        }
        return worst
    }

    String worst(String one, String other) { Build.ORDER[Math.max(Build.ORDER.indexOf(one), Build.ORDER.indexOf(other))] }

    String guarded(Closure body) {
        try {
            body()
            return 'SUCCESS'
        } catch (StepEnd end) {
            build.worsen(end.result)
            return end.result
        }
    }
}

def results = new JsonSlurper().parse(new File(args[0])).collect { scenario ->
    def build = new Build(branch: scenario.branch, parameters: scenario.parameters, events: scenario.events)
    def environment = [WORKSPACE_TMP: '/tmp/workspace', BUILD_NUMBER: '7', GIT_COMMIT: 'c0ffee', BRANCH_NAME: scenario.branch]
    def pipelines = 0
    def binding = new Binding([pipeline: { Closure body ->
        pipelines++
        new Runner(build: build).run(body, new Surroundings(environment: environment), '')
    }])
    def configuration = new CompilerConfiguration(scriptBaseClass: PipelineFile.name)
    try {
        build.script = new GroovyShell(this.class.classLoader, binding, configuration).parse(new File(scenario.file))
        build.script.useBuild(build)
        build.script.run()
    } catch (Exception | Error error) {
        build.problem('', "does not evaluate: ${error.message}")
    }
    if (pipelines != 1) build.problem('', "the file has ${pipelines} pipeline blocks")
    return [result: build.result, problems: build.problems, options: build.options, skipped: build.skipped, steps: build.steps]
}
println JsonOutput.toJson(results)
