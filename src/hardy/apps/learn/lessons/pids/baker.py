from hardy import Event, Process


def bake(closing_time) -> None:
    closing_time.wait()


if __name__ == "__main__":
    closing_time = Event(name="closing time")
    baker = Process(target=bake, args=(closing_time,), name="baker")
    baker.start()
    baker.join()
