// Evaluates Jenkinsfiles with stand-ins for the pipeline's methods and prints what it found as JSON, one entry a file:
// {"problems": [...], "stages": [{"name", "agent", "steps", "post"}]}. Called by test_jenkinsfile.py.
//
// This is not Jenkins' own validator. It knows the sections that a declarative pipeline may have, what each must have
// and have once, and the steps that this project uses; any other word is a problem. No step is run.

import groovy.json.JsonOutput
import groovy.transform.Field

@Field static final Set VALUE_SECTIONS = ['options', 'parameters', 'environment', 'when', 'input'] as Set
@Field static final Set BODIES = ['steps', 'stages', 'parallel', 'matrix'] as Set
@Field static final Set CONDITIONS =
    ['always', 'success', 'failure', 'unstable', 'changed', 'fixed', 'regression', 'aborted', 'unsuccessful', 'cleanup'] as Set
@Field static final Map OPTION_WORDS = [
    options: ['timeout', 'disableConcurrentBuilds', 'buildDiscarder', 'logRotator', 'skipStagesAfterUnstable', 'timestamps',
              'skipDefaultCheckout', 'retry'] as Set,
    parameters: ['string', 'booleanParam', 'choice', 'text', 'password'] as Set,
    environment: ['credentials'] as Set,
    when: ['branch', 'beforeAgent', 'beforeInput', 'beforeOptions', 'expression', 'tag', 'not', 'allOf', 'anyOf',
           'environment', 'buildingTag', 'changeRequest'] as Set,
    input: ['message', 'ok', 'submitter', 'parameters', 'id'] as Set,
    agent: ['label', 'docker', 'dockerfile', 'node', 'kubernetes'] as Set,
]
@Field static final Set STEPS =
    ['sh', 'echo', 'error', 'checkout', 'stash', 'unstash', 'archiveArtifacts', 'junit', 'recordCoverage', 'deleteDir',
     'input', 'sleep', 'usernamePassword', 'string', 'file'] as Set
@Field static final Set WRAPPERS = ['withCredentials', 'withEnv', 'dir', 'timeout', 'retry', 'waitUntil', 'lock'] as Set

/** What is known about one file. */
class Outline {
    List problems = []
    List stages = []
}

/** Answers the words inside one pair of braces. Sub-classes say which words mean what. */
abstract class Block {
    Outline outline
    String path

    void run(Closure body) {
        body.delegate = this
        body.resolveStrategy = Closure.DELEGATE_ONLY
        body.call()
    }

    void problem(String text) { outline.problems << "${path}: ${text}".toString() }

    abstract void word(String name, List arguments)

    def methodMissing(String name, arguments) {
        word(name, arguments as List)
        return name
    }

    def propertyMissing(String name) {
        if (name in ['env', 'params', 'currentBuild']) return [:].withDefault { "<${name}.${it}>".toString() }
        if (name in ['none', 'any', 'scm'] || name ==~ /[A-Z][A-Z0-9_]*/) return name
        problem("unknown name ${name}")
        return name
    }

    void propertyMissing(String name, value) { problem("assigns ${name}") }
}

/** A section of single words with values: options, parameters, environment, when, input, agent. */
class Words extends Block {
    Set allowed
    boolean assigns = false
    List found = []

    void word(String name, List arguments) {
        if (!(name in allowed)) problem("does not take ${name}")
        found << name
        arguments.findAll { it instanceof Closure && name in ['not', 'allOf', 'anyOf'] }.each { run(it) }
    }

    void propertyMissing(String name, value) { if (!assigns) problem("assigns ${name}") }
}

/** steps, or one condition of post. */
class Steps extends Block {
    Set steps
    Set wrappers
    List found
    boolean holdsSecrets = false

    void word(String name, List arguments) {
        if (name in wrappers) {
            Closure body = arguments ? arguments.last() : null
            if (!(body instanceof Closure)) { problem("${name} has no body"); return }
            found << name
            new Steps(outline: outline, path: "${path} > ${name}", steps: steps, wrappers: wrappers, found: found,
                      holdsSecrets: holdsSecrets || name == 'withCredentials').run(body)
            return
        }
        if (!(name in steps)) { problem("unknown step ${name}"); return }
        found << (name == 'sh' ? "sh ${arguments.first()}".toString() : name)
        if (name == 'sh' && arguments.any { it instanceof GString }) {
            problem(holdsSecrets ? 'sh puts a secret into its text: use single quotes' : 'sh interpolates: use single quotes')
        }
    }
}

/** pipeline, or one stage. */
class Section extends Block {
    Map words
    Map sections = [:]
    boolean isPipeline = false
    boolean hasAgentAbove = false
    List above = []
    Map record

    void word(String name, List arguments) {
        if (sections.containsKey(name)) problem("has ${name} twice")
        sections[name] = true
        Closure body = arguments && arguments.last() instanceof Closure ? arguments.last() : null
        if (name == 'agent') agent(arguments, body)
        else if (name == 'stages' && body) stagesOf(body)
        else if (name in words.bodies && body && !isPipeline) name == 'steps' ? record.steps.addAll(stepsOf(body, name)) : stagesOf(body)
        else if (name == 'post' && body) postOf(body)
        else if (name in words.valueSections && body) wordsOf(name, body)
        else problem("does not take ${name}")
    }

    void agent(List arguments, Closure body) {
        String chosen = body ? wordsOf('agent', body).join(' ') : String.valueOf(arguments ? arguments[0] : '')
        if (!body && !(chosen in ['none', 'any'])) problem("agent ${chosen} is neither none, any nor a block")
        record.agent = chosen
    }

    List wordsOf(String name, Closure body) {
        def block = new Words(outline: outline, path: "${path} > ${name}", allowed: words.optionWords[name], assigns: name == 'environment')
        block.run(body)
        if (name == 'options') record.options = block.found
        return block.found
    }

    List stepsOf(Closure body, String name) {
        List found = []
        new Steps(outline: outline, path: "${path} > ${name}", steps: words.steps, wrappers: words.wrappers, found: found).run(body)
        if (!found) problem("${name} is empty")
        return found
    }

    void postOf(Closure body) {
        def section = this
        def block = new Conditions(outline: outline, path: "${path} > post", conditions: words.conditions, owner: section)
        block.run(body)
        if (!block.any) problem('post is empty')
    }

    void stagesOf(Closure body) {
        def block = new StageList(outline: outline, path: path, words: words, hasAgentAbove: hasAgent())
        block.run(body)
        if (!block.any) problem('stages is empty')
    }

    boolean hasAgent() { record.agent ? record.agent != 'none' : hasAgentAbove }

    void finish() {
        if (isPipeline) {
            ['agent', 'stages'].each { if (!sections[it]) problem("has no ${it}") }
            return
        }
        def bodies = sections.keySet().intersect(words.bodies)
        if (bodies.size() != 1) problem("needs exactly one of ${words.bodies.join(', ')}, has ${bodies.join(', ') ?: 'none'}")
        def kinds = record.steps + record.post.values().flatten()
        if (!hasAgent() && kinds.any { !(it in ['input', 'echo', 'error']) }) problem('runs steps without an agent')
        if (hasAgent() && 'input' in record.steps) problem('waits for a person while it holds an agent')
    }
}

/** post: a block for each condition. */
class Conditions extends Block {
    Set conditions
    Section owner
    boolean any = false

    void word(String name, List arguments) {
        any = true
        if (!(name in conditions)) { problem("unknown condition ${name}"); return }
        owner.record.post[name] = owner.stepsOf(arguments.last(), "post > ${name}")
    }
}

/** stages: a block for each stage. */
class StageList extends Block {
    Map words
    boolean hasAgentAbove
    boolean any = false

    void word(String name, List arguments) {
        any = true
        if (name != 'stage' || arguments.size() != 2 || !(arguments[1] instanceof Closure)) { problem("takes stage('name') {...}, not ${name}"); return }
        Map record = [name: arguments[0], agent: null, steps: [], post: [:], options: []]
        outline.stages << record
        def section = new Section(outline: outline, path: "${path} > ${arguments[0]}", words: words, record: record, hasAgentAbove: hasAgentAbove)
        section.run(arguments[1])
        section.finish()
    }
}

def words = [valueSections: VALUE_SECTIONS, bodies: BODIES, conditions: CONDITIONS, optionWords: OPTION_WORDS, steps: STEPS, wrappers: WRAPPERS]
def found = args.collect { file ->
    def outline = new Outline()
    def record = [name: 'pipeline', agent: null, steps: [], post: [:], options: []]
    def pipelines = 0
    def binding = new Binding([pipeline: { Closure body ->
        pipelines++
        def section = new Section(outline: outline, path: 'pipeline', words: words, isPipeline: true, record: record)
        section.run(body)
        section.finish()
    }])
    try {
        new GroovyShell(binding).evaluate(new File(file))
    } catch (Throwable error) {
        outline.problems << "does not evaluate: ${error.message}".toString()
    }
    if (pipelines != 1) outline.problems << "has ${pipelines} pipeline blocks".toString()
    return [problems: outline.problems, stages: outline.stages, options: record.options]
}
println JsonOutput.toJson(found)
