from dash import html


def run_button(name, analyses, label):
    return html.Button(label)


def register(app, library, guard):
    pass
