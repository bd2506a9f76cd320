import multiprocessing

import hardy


def says_empty_after_put(queue) -> bool:
    queue.put("here")
    answer = queue.empty()
    queue.get()
    return answer


if __name__ == "__main__":
    for module in (multiprocessing, hardy):
        wrong = any(says_empty_after_put(module.Queue()) for _ in range(100))
        print(f"{module.__name__}：放了，empty() 还说 True：{wrong}")
