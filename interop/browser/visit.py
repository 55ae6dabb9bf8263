"""A visit to each page of the console in headless Chromium, as an operator makes it.

visit.py CHROMIUM URL FOLDER FACTS: FACTS is JSON about what the test has put into the cluster; a
screenshot of each page is written to FOLDER. Prints a line for each thing seen; ends with 1 and the
cause at the first that is not as it should be.
"""

import json
import re
import sys
import time

from playwright.sync_api import expect, sync_playwright

chromium, url, folder, facts = sys.argv[1:]
facts = json.loads(facts)
LIMIT = 60_000  # ms; the machine may be busy
expect.set_options(timeout=LIMIT)
trouble = []


def watch(page):
    page.set_default_timeout(LIMIT)
    page.on("pageerror", lambda error: trouble.append(f"script error: {error}"))
    page.on("request", lambda request: request.url.startswith(url) or trouble.append(f"asks elsewhere: {request.url}"))


def settled(page):
    """Waits for the page that the address names."""
    expect(page.locator("#main")).not_to_have_attribute("aria-busy", "true")


def show(page, place):
    # From elsewhere, so that it is loaded and nothing of the page before is left.
    page.goto("about:blank")
    page.goto(f"{url}#{place}")
    settled(page)


def shot(page, name):
    settled(page)
    page.screenshot(path=f"{folder}/{name}.png", full_page=True)
    print("shown", name, flush=True)


def rows(page, at=0):
    return page.locator("table").nth(at).locator("tbody tr")


def told(page, text):
    expect(page.locator("#told")).to_contain_text(text)
    print("told", text, flush=True)


with sync_playwright() as play:
    # No sandbox: tests run as root in containers.
    browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])

    # An unknown user, then the administrator's name with a wrong password. (Without any the browser asks
    # for them and waits; the test over HTTP shows that nothing is told before.)
    for name in ["eve", facts["user"]]:
        visitor = browser.new_context(http_credentials={"username": name, "password": "wrong-secret"})
        page = visitor.new_page()
        page.goto(url + "#topics")
        settled(page)
        expect(page.locator("main .bad")).to_be_visible()
        expect(page.locator("table")).to_have_count(0)
        shot(page, "refused")
        visitor.close()
    print("refused strangers", flush=True)

    context = browser.new_context(
        http_credentials={"username": facts["user"], "password": facts["password"]},
        viewport={"width": 1280, "height": 900},
    )
    page = context.new_page()
    watch(page)
    page.on("dialog", lambda dialog: dialog.accept())

    show(page, "clusters")
    expect(rows(page)).to_have_count(1)
    expect(rows(page)).to_contain_text("broker-a")
    shot(page, "clusters")

    page.get_by_role("link", name="broker-a").click()
    expect(page.locator("h1")).to_contain_text("Broker")
    expect(page.get_by_role("cell", name="brokerName", exact=True)).to_be_visible()
    shot(page, "broker")

    begun = time.monotonic()
    page.locator("nav").get_by_role("link", name="Topics", exact=True).click()
    expect(page.locator("h1")).to_have_text("Topics")
    expect(rows(page)).to_have_count(50)
    print(f"took {time.monotonic() - begun:.2f} s for the first of {facts['topics']} topics", flush=True)
    expect(page.locator(".bar")).to_have_text(re.compile(r"page 1 of 2\d\d"))
    page.get_by_role("button", name="next").click()
    expect(page.locator(".bar")).to_have_text(re.compile(r"page 2 of 2\d\d"))
    shot(page, "topics")
    page.get_by_label("Search").fill("many-0777")
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(10)

    # A topic is made; its page follows.
    page.get_by_label("Name").fill("Made-in-a-browser")
    page.get_by_label("Queues").fill("3")
    page.get_by_role("button", name="Make").click()
    expect(page.locator("h1")).to_have_text("Topic Made-in-a-browser")
    expect(rows(page, 1)).to_have_count(3)
    shot(page, "topic")

    # Messages by key, by id, by time; what stands in them is text, whatever it looks like.
    show(page, "messages")
    page.get_by_label("Topic").fill("Orders")
    page.get_by_label("or key").fill("k-1")
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text("<b>ten</b>", exact=True)).to_be_visible()
    expect(rows(page)).to_have_count(1)
    shot(page, "messages-by-key")
    show(page, "messages?topic=Orders")
    page.get_by_label("Id").fill(facts["id"])
    page.get_by_role("button", name="Find").click()
    expect(page.get_by_text(facts["id"], exact=True)).to_be_visible()
    expect(rows(page)).to_have_count(1)
    shot(page, "messages-by-id")
    for moment, count in [("2020-01-01T00:00", facts["messages"]), ("2090-01-01T00:00", 0)]:
        show(page, "messages?topic=Orders")
        page.get_by_label("or from").fill(moment)
        page.get_by_role("button", name="Find").click()
        page.wait_for_url(re.compile("from="))
        settled(page)
        if count:
            expect(rows(page)).to_have_count(count)
            shot(page, "messages-by-time")
        else:
            expect(page.get_by_text("No messages.")).to_be_visible()
    show(page, "messages?topic=NoSuchTopic")
    expect(page.locator("main .bad")).to_contain_text("NoSuchTopic")
    shot(page, "messages-refused")

    # Groups, their lag, and an offset that is reset.
    show(page, "groups")
    page.get_by_label("Search").fill("Billing")
    page.get_by_role("button", name="Show").click()
    expect(rows(page)).to_have_count(1)
    expect(rows(page).first.locator("td").nth(1)).to_have_text("0")
    shot(page, "groups")
    page.get_by_role("link", name="Billing").click()
    expect(page.locator("h1")).to_have_text("Group Billing")
    page.get_by_label("Topic").select_option("Orders")
    page.get_by_label("To (now").fill("2020-01-01 00:00")
    page.get_by_role("button", name="Reset").click()
    told(page, "offsets of Billing set to 2020")
    show(page, "group?name=Billing")
    page.reload()
    expect(page.get_by_text(f"{facts['messages']} messages before it")).to_be_visible()
    shot(page, "group")

    # A dead letter is sent again.
    show(page, "dead-letters")
    page.get_by_label("Group").fill("Billing")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("late", exact=True)).to_be_visible()
    page.get_by_role("button", name="Send again").click()
    told(page, "sent again: SEND_OK")
    shot(page, "dead-letters")
    show(page, "messages?topic=%25RETRY%25Billing")
    expect(page.get_by_text("late", exact=True)).to_be_visible()

    browser.close()

if trouble:
    sys.exit("\n".join(trouble))
print("all pages seen", flush=True)
