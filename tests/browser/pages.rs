//! The pages of a service: what is shown of jobs, that it follows what happens, and that nothing that comes from clients becomes more
//! than text.

use std::io::Write;

use serde_json::{Value, json};

use crate::browser;
use crate::devtools::Page;
use crate::program::Service;

/// What would be noticed if it became part of the page.
const HOSTILE: &str = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>\u{202e}";

fn hostile_job() -> String {
    let complaint = "echo '<script>document.title=1</script>' >&2; exit 3";
    json!({"id": HOSTILE, "kind": "command", "argv": ["sh", "-c", complaint], "metadata": {HOSTILE: [HOSTILE]}})
        .to_string()
}

const SLEEP: &str = r#"{"id":"a long one","kind":"command","argv":["sleep","600"]}"#;

fn row(id: &str) -> String {
    format!("document.querySelector('#jobs tr[data-id=\"{id}\"]')")
}

fn open(page: &mut Page, service: &Service, path: &str) {
    page.go(&format!("http://{}{path}", service.address));
}

/// Nothing went wrong, nobody else was asked, and what clients wrote has become no part of the page.
#[track_caller]
fn all_is_well(page: &mut Page, service: &Service) {
    assert_eq!(page.problems(), Vec::<String>::new());
    let own = format!("http://{}/", service.address);
    let foreign = |address: &&String| !address.starts_with(&own) && !address.starts_with("data:");
    let requests = page.requests();
    assert!(!requests.is_empty());
    assert_eq!(requests.iter().filter(foreign).collect::<Vec<_>>(), Vec::<&String>::new());
    assert_eq!(
        page.ask(
            "document.images.length + document.querySelectorAll('main b:not([class]):not(.range b), script').length"
        ),
        1
    );
    assert_ne!(page.ask("document.title"), "taken");
}

#[test]
fn jobs_are_shown_as_they_happen_and_what_clients_write_is_text() {
    let Some(browser) = browser() else { return };
    let service = Service::start(&["--allow-commands", "--threads", "2", "--memory", "1GiB"]);
    let fine = r#"{"id":"fine","kind":"primes","range":"0..1e6","metadata":{"exact":12345678901234567890123}}"#;
    let fine = service.run(fine)["id"].as_str().unwrap().to_owned();
    let failed = service.run(&hostile_job())["id"].as_str().unwrap().to_owned();
    let long = service.accepted(SLEEP);
    let mut page = Page::open(&browser);
    open(&mut page, &service, "/");
    page.wait("document.querySelector('#live').textContent === 'live'");
    page.wait(&format!("{}?.dataset.state === 'running'", row(&long)));
    page.ask("window.isStillThisPage = true");

    // The list: states, labels as text, where it ran.
    let texts = page.ask(&format!("[{}, {}].map((row) => row.innerText)", row(&fine), row(&failed)));
    let (fine_text, failed_text) = (texts[0].as_str().unwrap(), texts[1].as_str().unwrap());
    assert!(["succeeded", "fine", "primes", "cpu"].iter().all(|part| fine_text.contains(part)), "{fine_text}");
    let escaped = HOSTILE.replace('\u{202e}', "\\u{202e}");
    assert!(failed_text.contains(&escaped) && failed_text.contains("failed"), "{failed_text}");

    // One job: why there, where its time went, numbers as they were written.
    page.click(&format!("#jobs tr[data-id=\"{fine}\"] button.link"));
    page.wait("document.querySelectorAll('#job .phases i').length > 0");
    let text = page.ask("document.querySelector('#job').innerText");
    for part in ["\"count\":78498", "12345678901234567890123", "Why there", "cpu, 1 thread", "compute"] {
        assert!(text.as_str().unwrap().contains(part), "{part}: {text}");
    }
    assert_eq!(page.ask("document.activeElement.id"), "job-heading", "a screen reader goes there");
    page.click(&format!("#jobs tr[data-id=\"{failed}\"] button.link"));
    page.wait("document.querySelector('#job').innerText.includes('exit_code')");
    let text = page.ask("document.querySelector('#job').innerText");
    let quoted = escaped.replace('"', "\\\"");
    for part in ["<script>document.title=1</script>", &quoted, "sh ended with exit code 3"] {
        assert!(text.as_str().unwrap().contains(part), "{part}: {text}");
    }
    page.wait("document.querySelector('#now').innerText.includes('accepted\\n3')");
    page.wait("document.querySelector('#devices').innerText.includes('% busy')");
    // What is known of GPUs is text of several lines, where none is usable.
    let diagnosis = "document.querySelector('#diagnosis')";
    assert_eq!(page.ask(&format!("{diagnosis}.innerText.includes('u{{a}}')")), false);
    assert_eq!(page.ask(&format!("{diagnosis}.hidden || {diagnosis}.innerText.split('\\n').length > 2")), true);
    page.wait("document.querySelector('#memory-words').textContent.includes('of 1.00 GiB')");

    // What happens is seen as it happens: a new job, one that is cancelled here, one that is tried again.
    let new = service.accepted(r#"{"kind":"factor","n":91}"#);
    page.wait(&format!("{}?.dataset.state === 'succeeded'", row(&new)));
    page.click(&format!("#jobs tr[data-id=\"{long}\"] td.do button"));
    page.wait(&format!("{}.dataset.state === 'cancelled'", row(&long)));
    assert_eq!(service.job(&long)["state"], "cancelled");
    page.click("#job-retry");
    page.wait("document.querySelector('#job').innerText.includes('attempts\\n2')");
    assert_eq!(service.wait_for(&failed, "failed")["attempts"], 2);
    all_is_well(&mut page, &service);

    // A job by hand, first with a mistake, after a letter of two bytes.
    page.click("#submit > summary");
    page.ask("document.querySelector('#submit-text').value = '{\"id\":\"é\",\\n\"kind\":\"é\", \"kimd\":1}'");
    page.click("#submit-button");
    page.wait("document.querySelector('#submit-error mark')");
    let place = page.ask("document.querySelector('#submit-error').innerText");
    assert!(place.as_str().unwrap().contains("line 2"), "{place}");
    page.ask("document.querySelector('#submit-text').value = '{\"id\":\"by hand\",\"kind\":\"factor\",\"n\":12}'");
    page.click("#submit-button");
    page.wait("document.querySelector('#submit-done a')");
    let by_hand = page.ask("document.querySelector('#submit-done a').textContent");
    page.wait(&format!("{}?.dataset.state === 'succeeded'", row(by_hand.as_str().unwrap())));

    // With files: of one name here, each by a name of its own there.
    let folder = tempfile::tempdir().unwrap();
    let files = ["a/scan.csv", "b/scan.csv"].map(|name| folder.path().join(name));
    for (file, text) in files.iter().zip(["t\n1\n2\n6\n", "t\n10\n"]) {
        std::fs::create_dir(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    }
    page.choose_files("#submit-files", &files);
    page.wait("document.querySelectorAll('#submit-chosen li').length === 2");
    let names = page.ask("[...document.querySelectorAll('#submit-chosen input')].map((input) => input.value)");
    assert_eq!(names, json!(["scan", "scan-2"]));
    page.ask(
        "{ const text = document.querySelector('#submit-text');
           text.value = '{\"id\":\"of files\",\"kind\":\"stats\",\"together\":true,\"files\":[, ],\"column\":\"t\"}';
           text.selectionStart = text.selectionEnd = text.value.indexOf(', ]'); }",
    );
    page.click("#submit-chosen li:nth-child(1) button.put");
    page.ask(
        "{ const text = document.querySelector('#submit-text');
           text.selectionStart = text.selectionEnd = text.value.indexOf(', ]') + 2;
           document.querySelector('#submit-chosen li:nth-child(2) input').value = 'the second'; }",
    );
    page.click("#submit-chosen li:nth-child(2) button.put");
    // Behind the job, it becomes its file.
    page.ask(
        "{ const text = document.querySelector('#submit-text');
           window.ofFiles = text.value; text.value = '{\"kind\":\"stats\"}'; }",
    );
    page.click("#submit-chosen li:nth-child(1) button.put");
    let put = page.ask("JSON.parse(document.querySelector('#submit-text').value)");
    assert_eq!(put, json!({"kind": "stats", "file": {"$file": "scan"}}));
    page.ask("document.querySelector('#submit-text').value = window.ofFiles");
    page.ask("document.querySelector('#submit-done').replaceChildren()");
    page.click("#submit-button");
    page.wait("document.querySelector('#submit-done a')");
    let with_files = page.ask("document.querySelector('#submit-done a').textContent");
    let with_files = service.wait_for(with_files.as_str().unwrap(), "succeeded");
    let result = &with_files["result"];
    assert!(result.to_string().contains("\"count\":4") && result.to_string().contains("10.0"), "{with_files}");
    assert_eq!(page.ask("document.querySelectorAll('#submit-chosen li').length"), 0, "the next job has none yet");

    // Datasets, while somebody looks.
    let put = service.request("PUT", "/v1/datasets/temps", "Content-Type: text/csv\r\n", b"1\n2\n");
    assert_eq!(put.status, 201, "{put:?}");
    page.click("#datasets > summary");
    page.wait("document.querySelector('#datasets tbody').innerText.includes('temps')");
    page.click("#datasets td.do button");
    page.wait("document.querySelector('#datasets-words').textContent.startsWith('None')");
    assert_eq!(service.get("/v1/datasets").json()["datasets"], json!([]));

    // Only those in a state; and all of this was one page.
    page.ask("{ const filter = document.querySelector('#filter-state'); filter.value = 'failed'; filter.dispatchEvent(new Event('change')); }");
    page.wait("document.querySelectorAll('#jobs tbody tr').length === 1");
    assert_eq!(page.ask(&format!("{}?.dataset.state", row(&failed))), "failed");
    assert_eq!(page.ask("window.isStillThisPage"), true);

    // The browser tells of the answer 400, and of nothing else.
    let told = page.problems();
    assert!(told.len() == 1 && told[0].contains("status of 400"), "{told:?}");

    // What is wrong would have been noticed: something from elsewhere, a script that is not the page's.
    let before = page.problems().len();
    page.ask("document.body.append(Object.assign(new Image(), { src: 'http://127.0.0.1:9/x.png' }))");
    page.ask(
        "document.body.append(Object.assign(document.createElement('script'), { textContent: 'document.title = 1' }))",
    );
    page.ask("new Promise((resolve) => setTimeout(resolve, 200))");
    assert!(page.problems().len() >= before + 2, "{:?}", page.problems());
    assert_eq!(page.ask("document.title"), "tandem", "the policy keeps it from running");

    // The service ends: the page says so.
    drop(service);
    page.wait("document.querySelector('#live').textContent.includes('lost')");
}

#[test]
fn pages_are_turned_and_a_page_that_is_older_stays_what_it_is() {
    let Some(browser) = browser() else { return };
    let service = Service::start(&["--threads", "2"]);
    let ids: Vec<String> =
        (0..120).map(|n| service.accepted(&format!(r#"{{"kind":"factor","n":{}}}"#, 1000 + n))).collect();
    ids.iter().for_each(|id| _ = service.wait_for(id, "succeeded"));
    let mut page = Page::open(&browser);
    open(&mut page, &service, "/");
    let rows = |page: &mut Page| -> Vec<String> {
        let ids = page.ask("[...document.querySelectorAll('#jobs tbody tr')].map((row) => row.dataset.id)");
        serde_json::from_value(ids).unwrap()
    };
    let newest_first = |range: std::ops::Range<usize>| ids[range].iter().rev().cloned().collect::<Vec<_>>();
    page.wait(&row(&ids[119]));
    assert_eq!(rows(&mut page), newest_first(70..120));
    page.click("#older");
    page.wait(&row(&ids[69]));
    page.click("#older");
    page.wait(&row(&ids[0]));
    assert_eq!(rows(&mut page), newest_first(0..20));
    assert_eq!(page.ask("document.querySelector('#older').disabled"), true);
    let new = service.accepted(r#"{"kind":"factor","n":17}"#);
    page.wait("document.querySelector('#news').innerText.includes('newer jobs')");
    assert_eq!(rows(&mut page), newest_first(0..20));
    page.click("#newer");
    page.wait(&row(&ids[69]));
    page.click("#newer");
    page.wait(&row(&new));
    all_is_well(&mut page, &service);
}

/// Looks at what is wider than there is room for, and at fields without a name.
const LOOK: &str = "(() => {
    const cut = [...document.querySelectorAll('h1,h2,h3,h4,p,dd,dt,li,button,label,.name,th,td,summary')].filter((element) =>
        element.clientWidth > 1 && !element.closest('.hidden,.wide,pre') && element.scrollWidth > element.clientWidth + 1);
    const nameless = [...document.querySelectorAll('input,select,textarea,button')].filter((field) =>
        !(field.labels?.length || field.textContent.trim() || field.getAttribute('aria-label')));
    return {
        scrolls: document.documentElement.scrollWidth - document.documentElement.clientWidth,
        cut: cut.map((element) => element.outerHTML.slice(0, 200)),
        nameless: nameless.map((field) => field.outerHTML.slice(0, 200)),
        background: getComputedStyle(document.documentElement).backgroundColor,
    };
})()";

#[test]
fn the_pages_fit_a_phone_and_a_desktop_in_light_and_dark() {
    let Some(browser) = browser() else { return };
    let service = Service::start(&["--allow-commands", "--threads", "2"]);
    service.run(&hostile_job());
    service.run(&json!({"kind": "factor", "n": 12, "id": "unbroken".repeat(31)}).to_string());
    let job = service.run(r#"{"kind":"primes","range":"0..1e6"}"#)["id"].as_str().unwrap().to_owned();
    let mut page = Page::open(&browser);
    for path in [format!("/#job={job}"), "/docs".to_owned()] {
        let mut backgrounds = Vec::new();
        for (width, height, is_dark) in [(1280, 900, false), (1280, 900, true), (360, 780, false), (360, 780, true)] {
            page.set_window(width, height, is_dark);
            page.go("about:blank");
            open(&mut page, &service, &path);
            page.wait("document.querySelectorAll('#jobs tbody tr, article').length >= 3");
            page.wait("document.querySelector('.phases, article')");
            let found: Value = page.ask(LOOK);
            let nothing = json!([]);
            assert_eq!(
                (&found["scrolls"], &found["cut"], &found["nameless"]),
                (&json!(0), &nothing, &nothing),
                "{path}, {width} wide, dark {is_dark}"
            );
            backgrounds.push(found["background"].clone());
        }
        assert_eq!((&backgrounds[0], &backgrounds[0]), (&json!("rgb(255, 255, 255)"), &backgrounds[2]), "{path}");
        assert_ne!(backgrounds[0], backgrounds[1], "{path}: dark is dark");
    }
    // What does not fit is noticed.
    page.ask("document.querySelector('article').append(Object.assign(document.createElement('p'), { textContent: 'wide'.repeat(500) }))");
    assert_ne!(page.ask(LOOK)["scrolls"], 0);
}

#[test]
fn who_has_the_token_is_let_in_and_the_page_forgets_it_with_its_tab() {
    let Some(browser) = browser() else { return };
    let mut file = tempfile::NamedTempFile::new().unwrap();
    writeln!(file, "a-token-of-some-length").unwrap();
    let service = Service::start(&["--token-file", file.path().to_str().unwrap()]);
    let mut page = Page::open(&browser);
    open(&mut page, &service, "/");
    let give = |page: &mut Page, token: &str| {
        page.wait("document.querySelector('#token-dialog').open");
        page.ask(&format!("document.querySelector('#token').value = '{token}'"));
        page.click("#token-dialog button");
    };
    give(&mut page, "not-that-one");
    page.wait("document.querySelector('#token-dialog').open && !document.querySelector('#token-wrong').hidden");
    give(&mut page, "a-token-of-some-length");
    page.wait("document.querySelector('#live').textContent === 'live'");
    page.wait("document.querySelector('#now').innerText.includes('accepted')");
    assert_eq!(page.ask("document.querySelector('#token-dialog').open"), false);
    assert_eq!(page.ask("sessionStorage.getItem('tandem-token')"), "a-token-of-some-length");
    assert_eq!(page.ask("localStorage.length + document.cookie.length"), 0);
    assert!(page.requests().iter().all(|address| !address.contains("a-token")), "{:?}", page.requests());
    // The other page of the same tab has it too.
    open(&mut page, &service, "/docs");
    page.wait("document.querySelectorAll('article').length > 10");
}

#[test]
fn the_api_is_all_there_to_browse_and_its_links_lead_somewhere() {
    let Some(browser) = browser() else { return };
    let service = Service::start(&[]);
    let api = service.get("/openapi.json").json();
    let operations: usize =
        api["paths"].as_object().unwrap().values().map(|path| path.as_object().unwrap().len()).sum();
    let schemas = api["components"]["schemas"].as_object().unwrap().len();
    let mut page = Page::open(&browser);
    open(&mut page, &service, "/docs");
    page.wait("document.querySelector('article')");
    assert_eq!(page.ask("document.querySelectorAll('article').length"), operations + schemas);
    let dangling = "[...document.querySelectorAll('a[href^=\"#\"]')].map((a) => a.getAttribute('href').slice(1)).filter((id) => !document.getElementById(id))";
    assert_eq!(page.ask(dangling), json!([]));
    let text = page.ask("document.querySelector('#post-v1-jobs').innerText");
    for part in ["POST", "Idempotency-Key", "429", "ErrorBody", "curl"] {
        assert!(text.as_str().unwrap().contains(part), "{part}: {text}");
    }
    page.ask("document.querySelector('#get-v1-jobs .try').closest('details').open = true");
    page.ask("document.querySelector('#get-v1-jobs .try input').value = 'failed'");
    page.click("#get-v1-jobs .try button");
    page.wait("document.querySelector('#get-v1-jobs .try pre')");
    let answer = page.ask("document.querySelector('#get-v1-jobs .try [role=status]').innerText");
    assert!(answer.as_str().unwrap().contains("/v1/jobs?state=failed: 200"), "{answer}");
    all_is_well(&mut page, &service);
}
